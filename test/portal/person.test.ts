// Somebody's first day at the portal, in a real browser: from the door to a key, to a call and what it took, and out again.

import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { grantCredits } from '../../src/store/credits.ts';
import { transact } from '../../src/store/database.ts';
import { openBrowser } from '../helpers/browser.ts';
import { dialects } from '../helpers/databases.ts';
import { headingOf, type Portal, startPortal, textOf, type Visit, visitPortal } from '../helpers/portal-pages.ts';
import { until } from '../helpers/until.ts';

const routes = `  - { path: /free, upstream: api, auth: none }
  - { path: /search, upstream: api, cost: 7 }`;

const browser = await openBrowser(t);

for (const dialect of dialects) {
  t.test(`${dialect}: somebody signs in, makes a key, calls, finds the charge, ends the key and leaves`, async (t) => {
    const portal = await startPortal(t, dialect, { routes });
    const permissions = ['clipboard-read', 'clipboard-write'];
    await visitPortal(t, browser, portal, (visit) => spendDay(t, portal, visit), { permissions });
  });
}

async function spendDay(t: Test, portal: Portal, visit: Visit): Promise<void> {
  await entersToAnEmptyOverview(t, visit);
  const key = await makesKey(t, portal, visit);
  await seesTheBalanceFall(t, portal, visit, key);
  await opensTheReceipt(t, visit);
  await filtersAndExports(t, portal, visit);
  await replacesAndRevokes(t, portal, visit, key);
  await leaves(t, portal, visit);
}

async function entersToAnEmptyOverview(t: Test, { page, enter }: Visit): Promise<void> {
  await enter();
  t.equal(await headingOf(page), 'Overview');
  t.equal(await balanceOn(page), '5,000');
  t.match(await textOf(page.getByRole('region', { name: 'Last entries' }).first()), /Make an API key and call/);
  t.match(await textOf(page.getByRole('main')), /Nothing was used in this time/);
  await page.getByRole('link', { name: 'Make an API key' }).click();
  t.equal(await headingOf(page), 'API keys');
  t.match(await textOf(page.getByRole('main')), /There is no key yet/);
}

async function makesKey(t: Test, portal: Portal, { page, shownKey }: Visit): Promise<string> {
  await page.getByLabel('Name').fill('laptop');
  await page.getByRole('button', { name: 'Make the key' }).click();
  const key = await shownKey();
  const line = await textOf(page.locator('#new-key-call'));
  t.equal(line, `curl -i -H 'Authorization: Bearer ${key}' '${portal.url}/search'`, 'it can be run as it is');
  const copied = () => page.evaluate<string>('navigator.clipboard.readText()');
  await page.getByRole('button', { name: 'Copy the key' }).click();
  await until(copied, (text) => text === key);
  await page.getByRole('button', { name: 'Copy the call' }).click();
  await until(copied, (text) => text === line);
  t.equal(await textOf(page.getByRole('status')), 'Copied.');
  await page.getByRole('row', { name: /laptop/ }).waitFor();
  await page.reload();
  t.notMatch(await page.content(), key, 'it is shown once');
  t.match(await textOf(page.getByRole('row', { name: /laptop/ })), key.slice(0, 6), 'and known by how it begins');
  return key;
}

async function seesTheBalanceFall(t: Test, portal: Portal, { page }: Visit, key: string): Promise<void> {
  await page.getByRole('link', { name: 'Overview' }).click();
  t.equal(await balanceOn(page), '5,000');
  await page.evaluate('window.isSamePage = true');
  t.equal((await portal.call(key, '/search/things')).status, 200);
  await page.getByText('4,993', { exact: true }).waitFor();
  await page.getByRole('row', { name: /Call 200 −7 .*\/search/ }).waitFor();
  t.equal(await balanceOn(page), '4,993');
  t.equal(await page.getByRole('img', { name: /Credits used on each of the last 30 days/ }).count(), 1);
  t.equal(await page.evaluate('window.isSamePage'), true, 'nothing was loaded anew');
}

async function opensTheReceipt(t: Test, { page }: Visit): Promise<void> {
  await page
    .getByRole('row', { name: /Call 200/ })
    .getByRole('link')
    .click();
  t.equal(await headingOf(page), 'Call: −7');
  const text = await textOf(page.getByRole('main'));
  t.match(text, 'A call on /search costs 7 credits.');
  t.match(text, 'The API answered 200, a success, and the whole answer was delivered.');
  t.match(await factOn(page, 'Key'), /^laptop \(tg_\w+…\)$/);
  t.match(await factOn(page, 'Request'), /^[\w-]{16,}$/);
  t.equal(await factOn(page, 'Ended'), 'delivered');
  await page.getByRole('link', { name: 'Back to the history' }).click();
}

async function filtersAndExports(t: Test, { test }: Portal, { page }: Visit): Promise<void> {
  const { db } = test.database;
  const { id } = await db.selectFrom('users').select('id').executeTakeFirstOrThrow();
  for (const note of ['=1+1', '+1', '-1', '@a', 'for "all", and\nmore']) {
    await transact(db, (trx) => grantCredits(trx, id, 10, { actor: 'test', note }));
  }
  const rows = page.getByRole('table', { name: 'Ledger entries' }).locator('tbody tr');
  await page.reload();
  t.equal(await rows.count(), 7);
  await page.getByLabel('What').selectOption({ label: 'Call' });
  await page.getByRole('button', { name: 'Show' }).click();
  await page.waitForURL(/kind=charge/);
  t.match(await rows.allInnerTexts(), [/\/search/]);
  t.equal((await exported(page)).length, 1, 'the file has what the page asks for');
  await page.getByRole('link', { name: 'All', exact: true }).click();
  await page.waitForURL(/history$/);
  const records = await exported(page);
  t.same(
    records.map(({ kind, amount, note }) => [kind, amount, note]),
    [
      ...['for "all", and\nmore', "'@a", "'-1", "'+1", "'=1+1"].map((note) => ['grant', '10', note]),
      ['charge', '-7', ''],
      ['signup', '5000', ''],
    ],
  );
  t.match(records[5], { route: '/search', status: '200', ended: 'delivered', request_id: /^[\w-]{16,}$/ });
}

async function replacesAndRevokes(t: Test, portal: Portal, visit: Visit, old: string): Promise<void> {
  const { page, asked, shownKey } = visit;
  await page.getByRole('link', { name: 'Keys' }).click();
  await page.getByRole('button', { name: 'Replace laptop' }).click();
  const key = await shownKey();
  t.not(key, old);
  for (const each of [key, old]) t.equal((await portal.call(each, '/search')).status, 200, 'both, for an hour');
  await page.getByRole('button', { name: 'Revoke laptop' }).click();
  await page.getByText('Ended (1)').waitFor();
  t.match(asked, [/Replace the key "laptop"\?/, /Revoke the key "laptop"\?/]);
  for (const each of [key, old]) {
    await until(
      async () => (await portal.call(each, '/search')).status,
      (status) => status === 401,
    );
  }
}

async function leaves(t: Test, { base }: Portal, { page, context }: Visit): Promise<void> {
  const kept = await context.cookies();
  t.match(
    kept.filter(({ name }) => name === 'tollgate_session'),
    [{ httpOnly: true, sameSite: 'Lax' }],
  );
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('link', { name: 'Sign in with idp' }).waitFor();
  t.equal(page.url(), `${base}/`);
  await context.addCookies(kept);
  for (const path of ['/history', '/keys', '/history.csv', '/api/credits']) {
    const answer = await page.goto(base + path);
    t.equal(answer?.status(), 401, `${path} with the cookie that was kept`);
  }
}

function balanceOn(page: Page): Promise<string> {
  return textOf(page.getByRole('region', { name: 'Credits left' }).locator('p').first());
}

function factOn(page: Page, name: string): Promise<string> {
  return textOf(page.locator(`dt:text-is("${name}") + dd`));
}

/** What is in the file of the page, line by line. */
async function exported(page: Page): Promise<Record<string, string>[]> {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'All of these as CSV' }).click(),
  ]);
  return parse(await readFile(await download.path(), 'utf8'), { columns: true });
}
