// The portal in a real browser: a gateway whose people sign in at a real provider, and a watch over all that its pages do.
// Whatever they ask for elsewhere, whatever their policy forbids and whatever their scripts throw fails the test.

import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import type { Test } from 'tap';
import type { Dialect } from './databases.ts';
import { noteCredentialIn, noteKeysIn } from './evidence.ts';
import { type IdentityProvider, startIdentityProvider } from './identity-provider.ts';
import { providerYaml, type SignInGateway, type SignInSettings, startSignInGateway } from './sign-in-gateways.ts';

export interface Portal extends SignInGateway {
  readonly provider: IdentityProvider;
  /** What browsers see of the portal: its pages lie below. */
  readonly base: string;
}

/** A gateway, with the provider `idp` where `Ann Example` and `Bob Example` can sign in. */
export async function startPortal(
  t: Test,
  dialect: Dialect,
  settings: Omit<SignInSettings, 'providers'> = {},
): Promise<Portal> {
  const provider = await startIdentityProvider(t, { interactive: true });
  provider.people.set('bob', { name: 'Bob Example', email: 'bob@example.com', email_verified: true });
  const gate = await startSignInGateway(t, dialect, { ...settings, providers: providerYaml('idp', provider) });
  const callback = gate.redirectUri('idp');
  provider.allowRedirect(callback);
  return { ...gate, provider, base: callback.slice(0, callback.indexOf('/auth/')) };
}

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What confirm dialogs have asked; each was answered with yes. */
  readonly asked: readonly string[];
  /** Goes in by the door of this page, as one of the provider's people. */
  enter(at?: string, name?: string): Promise<void>;
  /** From the door on which the browser is. */
  passDoor(name?: string): Promise<void>;
  /** The key that the page shows. */
  shownKey(): Promise<string>;
}

interface VisitSettings extends BrowserContextOptions {
  /** Origins, beside the portal's, that the test itself goes to. */
  readonly origins?: readonly string[];
}

const waitMs = 20_000;

/** Somebody's visit at the portal; at its end nothing may have gone wrong in the browser. */
export async function visitPortal(
  t: Test,
  browser: Browser,
  { base, provider }: Portal,
  visit: (visit: Visit) => Promise<void>,
  { origins = [], ...settings }: VisitSettings = {},
): Promise<void> {
  const context = await browser.newContext(settings);
  t.teardown(() => context.close());
  context.setDefaultTimeout(waitMs);
  const allowed = new Set([new URL(base).origin, ...origins]);
  const faults = await watch(context, allowed);
  const page = await context.newPage();
  const asked: string[] = [];
  page.on('dialog', (dialog) => {
    asked.push(dialog.message());
    void dialog.accept();
  });
  const passDoor = async (name = 'Bob Example') => {
    allowed.add(provider.issuer);
    await page.getByRole('link', { name: 'Sign in with idp' }).click();
    await page.getByRole('button', { name }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    allowed.delete(provider.issuer);
    for (const { name, value } of await context.cookies()) if (name.includes('tollgate_')) noteCredentialIn(value);
  };
  const enter = async (at = '/', name?: string) => {
    await page.goto(base + at);
    await passDoor(name);
  };
  const shownKey = async () => {
    const key = page.locator('#new-key-text');
    await key.waitFor();
    const text = await textOf(key);
    noteKeysIn(text);
    return text;
  };
  await visit({ page, context, asked, enter, passDoor, shownKey });
  t.same(faults, [], 'nothing was asked for elsewhere, forbidden or thrown');
}

/** Tells the page's own reports before any script of its own runs. */
const reportViolations = `document.addEventListener('securitypolicyviolation', (event) =>
  reportViolation(event.violatedDirective + ' forbids ' + (event.blockedURI || 'something') + ' in ' + location.pathname));`;

/** What goes wrong, as it is found. */
async function watch(context: BrowserContext, allowed: ReadonlySet<string>): Promise<readonly string[]> {
  const faults: string[] = [];
  context.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'data:' && !allowed.has(origin)) faults.push(`${request.method()} ${request.url()}`);
  });
  context.on('weberror', (error) => faults.push(String(error.error())));
  context.on('console', (message) => {
    if (/content security policy/i.test(message.text())) faults.push(message.text());
  });
  await context.exposeBinding('reportViolation', (_source, violation: string) => faults.push(violation));
  await context.addInitScript(reportViolations);
  return faults;
}

/** The text of the one element. */
export async function textOf(element: Locator): Promise<string> {
  return (await element.textContent()) ?? '';
}

/** The first heading. */
export function headingOf(page: Page): Promise<string> {
  return textOf(page.getByRole('heading', { level: 1 }));
}

/** How wide the document is beyond the window, in pixels. */
export function overhangOf(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}
