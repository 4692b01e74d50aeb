// Gateways at which people sign in: they have a port, and so an address for browsers, before they start.

import type { RequestListener } from 'node:http';
import type { Test } from 'tap';
import { freePort } from '../../scripts/free-port.ts';
import type { CookieJar, Visited } from './cookie-jar.ts';
import type { Dialect } from './databases.ts';
import { type Settings, startTestGateway, type TestGateway } from './gateways.ts';

export interface SignInGateway extends TestGateway {
  /** What browsers see. */
  readonly url: string;
  /** What is registered at the provider of this name. */
  redirectUri(provider: string): string;
}

export interface SignInSettings extends Settings {
  /** YAML of `auth.providers`. */
  readonly providers: string;
  /** YAML of `auth.allow`; anyone by default. */
  readonly allow?: string;
  /** Further keys of `auth.session`. */
  readonly session?: string;
  /** In place of the gateway's own address; `PORT` stands for its port. */
  readonly publicUrl?: string;
  readonly portalUrl?: string;
  /** YAML under `routes:`. */
  readonly routes?: string;
  readonly answer?: RequestListener;
}

export const sessionSecret = 'a secret of thirty-two characters';
export const costs7 = '  - { path: /, upstream: api, cost: 7 }';

/** An OpenID provider, as `auth.providers` names it. */
export function providerYaml(name: string, at: { issuer: string; clientId: string; secret: string }): string {
  return `${name}: { issuer: "${at.issuer}", clientId: "${at.clientId}", clientSecret: "${at.secret}" }`;
}

/** As often as this a port is taken by somebody else before the gateway has it. */
const portsMax = 5;

export async function startSignInGateway(t: Test, dialect: Dialect, settings: SignInSettings): Promise<SignInGateway> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startAt(t, dialect, settings, await freePort());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === portsMax) throw error;
    }
  }
}

async function startAt(t: Test, dialect: Dialect, settings: SignInSettings, port: number): Promise<SignInGateway> {
  const { providers, allow = '{ emailDomains: ["*"] }', session = '', server = '', auth = '' } = settings;
  const placed = (url: string) => url.replace('PORT', String(port));
  const url = placed(settings.publicUrl ?? 'http://127.0.0.1:PORT');
  const portal = placed(settings.portalUrl ?? url);
  const gate = await startTestGateway(t, dialect, settings.routes ?? costs7, settings.answer, {
    ...settings,
    port,
    server: `publicUrl: "${url}", portalUrl: "${portal}", ${server}`,
    auth: [
      `session: { secret: "${sessionSecret}", ${session} }`,
      `providers: { ${providers} }`,
      `allow: ${allow}`,
      ...(auth === '' ? [] : [auth]),
    ].join(', '),
  });
  return { ...gate, url, redirectUri: (provider) => `${portal}/_tollgate/auth/callback/${provider}` };
}

/** Signs in with a provider as people do: from the link to where it leads. */
export function signIn(jar: CookieJar, url: string, provider: string, returnTo?: string): Promise<Visited> {
  const query = returnTo === undefined ? '' : `?returnTo=${encodeURIComponent(returnTo)}`;
  return jar.visit(`${url}/_tollgate/auth/login/${provider}${query}`);
}

/** What the session says, or the status of a refusal. */
export async function sessionOf(jar: CookieJar, url: string): Promise<Record<string, unknown> | number> {
  const answer = await jar.fetch(`${url}/_tollgate/api/session`);
  return answer.ok ? ((await answer.json()) as Record<string, unknown>) : answer.status;
}
