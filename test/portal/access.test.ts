// The pages of the portal are for everybody: what axe-core finds, the keyboard alone, narrow and wide windows, slow lines.

import type { Page } from 'playwright-core';
import t from 'tap';
import { openBrowser } from '../helpers/browser.ts';
import { headingOf, type Portal, startPortal, type Visit, visitPortal } from '../helpers/portal-pages.ts';
import { addPast, userIdOf } from './charges.ts';
import { look } from './look.ts';

const names = ['search', 'chat', 'images', 'speech', 'embeddings', 'files', 'batches', 'models'];
const routes = names.map((name) => `  - { path: /${name}, upstream: api, cost: 7 }`).join('\n');
const firstLoadBytesMax = 150_000;

const browser = await openBrowser(t);

t.test(
  'no page has a fault that axe-core finds, in light or dark, nor is any wider than a phone or a wall',
  async (t) => {
    const portal = await startPortal(t, 'sqlite', { routes });
    await visitPortal(t, browser, portal, async (visit) => {
      const { page, enter } = visit;
      await page.goto(`${portal.base}/`);
      await look(t, page, 'signed out');
      await page.goto(`${portal.base}/keys`);
      await look(t, page, 'please sign in');
      await enter();
      await look(t, page, 'an empty overview');
      await haveAPast(portal, visit);
      for (const [path, heading] of Object.entries(headings)) {
        await page.goto(portal.base + path);
        t.match(await headingOf(page), heading);
        await look(t, page, path);
      }
      await page.goto(`${portal.base}/keys`);
      await page.getByLabel('Name').fill('one more');
      await page.getByRole('button', { name: 'Make the key' }).click();
      await visit.shownKey();
      await look(t, page, 'a new key');
    });
  },
);

t.test('all of it can be done with the keyboard', async (t) => {
  const portal = await startPortal(t, 'sqlite', { routes });
  await visitPortal(t, browser, portal, async ({ page, enter, shownKey, asked }) => {
    await enter('/keys');
    const { keyboard } = page;
    t.same(await tabsOf(page, 11), [
      ...['To the content', 'Tollgate', 'Overview', 'History', 'Keys', 'Sign out'],
      ...['Name', 'Limit in credits', 'Good for', 'Make the key'],
      'BODY',
    ]);
    await page.reload();
    await tabsOf(page, 1);
    await keyboard.press('Enter');
    t.equal(await page.evaluate('document.activeElement.id'), 'main', 'the skip link leads past the navigation');
    t.same(await tabsOf(page, 1), ['Name']);
    await keyboard.type('by keyboard');
    await keyboard.press('Enter');
    await shownKey();
    t.equal(await page.evaluate('document.activeElement.id'), 'new-key', 'what is new is where one is');
    t.same(await tabsOf(page, 2), ['Copy the key', 'Copy the call']);
    await page.getByRole('row', { name: /by keyboard/ }).waitFor();
    const after = ['Name', 'Limit in credits', 'Good for', 'Make the key', 'Keys that are good'];
    t.same(await tabsOf(page, 7), [...after, 'Replace by keyboard', 'Revoke by keyboard']);
    t.ok(
      await page.evaluate('getComputedStyle(document.activeElement).outlineStyle !== "none"'),
      'one sees where one is',
    );
    await keyboard.press('Enter');
    await page.getByText('Ended (1)').waitFor();
    t.equal(asked.length, 1);
  });
});

t.test('the first load of the overview is small', async (t) => {
  const portal = await startPortal(t, 'sqlite', { routes });
  await visitPortal(t, browser, portal, async (visit) => {
    await visit.enter();
    await haveAPast(portal, visit);
    const first = await visit.context.browser()?.newContext({ storageState: await visit.context.storageState() });
    if (first === undefined) throw new Error('the browser is gone');
    t.teardown(() => first.close());
    const page = await first.newPage();
    const loaded = new Map<string, number>();
    page.on('response', async (response) => {
      const { responseBodySize, responseHeadersSize } = await response.request().sizes();
      loaded.set(new URL(response.url()).pathname.replace(/.*\//, ''), responseBodySize + responseHeadersSize);
    });
    await page.goto(`${portal.base}/`, { waitUntil: 'networkidle' });
    t.match([...loaded.keys()].sort(), ['', 'icon.svg', 'portal.css', 'portal.js']);
    const bytes = [...loaded.values()].reduce((sum, each) => sum + each, 0);
    t.ok(bytes < firstLoadBytesMax, `${bytes} bytes`);
  });
});

const headings = {
  '/': 'Overview',
  '/history': 'History',
  '/history?kind=charge&route=/chat': 'History',
  '/history?kind=refund': 'History',
  '/history/01800000-0000-7000-8000-000000000001': 'Call: −1',
  '/keys': 'API keys',
  '/history/nothing': 'There is nothing here',
  '/history?kind=nothing': 'This was not understood',
  '/nothing': 'There is nothing here',
};

/** Eight routes used over a month, one key that is good and one that has ended. */
async function haveAPast({ test, base }: Portal, { page, shownKey }: Visit): Promise<void> {
  const { db } = test.database;
  await addPast(db, await userIdOf(db, 'bob@example.com'), { count: 400, routes: names.map((name) => `/${name}`) });
  await page.goto(`${base}/keys`);
  for (const name of ['good', 'ended']) {
    await page.getByLabel('Name').fill(name);
    await page.getByRole('button', { name: 'Make the key' }).click();
    await page.getByRole('row', { name: new RegExp(name) }).waitFor();
    await shownKey();
  }
  await page.getByRole('button', { name: 'Revoke ended' }).click();
  await page.getByText('Ended (1)').waitFor();
}

/** What one comes to with the tab key. */
async function tabsOf(page: Page, count: number): Promise<string[]> {
  const names: string[] = [];
  for (let tab = 0; tab < count; tab++) {
    await page.keyboard.press('Tab');
    names.push(
      await page.evaluate(`(() => {
        const { activeElement: at } = document;
        if (at === document.body) return 'BODY';
        return at.ariaLabel ?? (at.labels?.[0]?.firstChild ?? at).textContent.trim();
      })()`),
    );
  }
  return names;
}
