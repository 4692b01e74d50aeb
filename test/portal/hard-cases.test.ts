// What is hard on pages: no entries and very many, names that are longer than anybody's and full of HTML.

import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { grantCredits } from '../../src/store/credits.ts';
import { transact } from '../../src/store/database.ts';
import { openBrowser } from '../helpers/browser.ts';
import { overhangOf, type Portal, startPortal, textOf, type Visit, visitPortal } from '../helpers/portal-pages.ts';
import { addPast, userIdOf } from './charges.ts';

const many = 100_000;
const nasty = `"><script>stolen()</script><img src=x onerror=stolen()>'&amp;`;

const browser = await openBrowser(t);

t.test('the pages hold with no entries, with one and with 100,000, and so does the file', async (t) => {
  const portal = await startPortal(t, 'sqlite', { adjust: (config) => ({ ...config, plans: withoutCredits }) });
  const { db } = portal.test.database;
  await visitPortal(t, browser, portal, async (visit) => {
    const { page, enter } = visit;
    const rows = page.getByRole('table', { name: 'Ledger entries' }).locator('tbody tr');
    await enter();
    const user = await userIdOf(db, 'bob@example.com');
    t.same(await db.selectFrom('ledger').selectAll().execute(), []);
    t.match(await textOf(page.getByRole('main')), /Calls that cost credits are refused until there are more/);
    await page.goto(`${portal.base}/history`);
    t.match(await textOf(page.getByRole('main')), /There are no entries yet/);
    t.equal(await linesOfFile(portal, visit), 1, 'the head');

    await transact(db, (trx) => grantCredits(trx, user, 200_000, { actor: 'test', note: 'a start' }));
    await page.reload();
    t.equal(await rows.count(), 1);
    t.equal(await page.getByRole('link', { name: 'Older' }).count(), 0);
    t.equal(await linesOfFile(portal, visit), 2);

    await addPast(db, user, { count: many, routes: ['/a', '/b', '/c'] });
    for (const path of ['/', '/history']) {
      await page.goto(portal.base + path);
      await page.getByText('100,000').or(rows.first()).first().waitFor();
    }
    t.equal(await rows.count(), 50);
    await page.getByRole('link', { name: 'Older' }).click();
    await page.waitForURL(/cursor=/);
    t.equal(await rows.count(), 50);
    await page.goto(`${portal.base}/history?route=/nowhere`);
    t.match(await textOf(page.getByRole('main')), /None of these among the entries looked at so far/);
    t.equal(await linesOfFile(portal, visit), many + 2);
  });
});

t.test('names, addresses, routes and notes are texts, however long and whatever is in them', async (t) => {
  const portal = await startPortal(t, 'sqlite');
  const { db } = portal.test.database;
  const address = `${'<img/src=x/onerror=stolen()>'.repeat(2)}@${'long.'.repeat(36)}example`;
  const person = { name: nasty.padEnd(256, nasty), email: address, email_verified: true };
  portal.provider.people.set('eve', person);
  await visitPortal(t, browser, portal, async (visit) => {
    const { page, context, asked } = visit;
    await visit.enter('/', person.name);
    const id = await userIdOf(db, address);
    t.match(await textOf(page.getByRole('banner')), address);
    const note = nasty.padEnd(500, nasty);
    await transact(db, (trx) => grantCredits(trx, id, 10, { actor: 'test', note }));
    const route = `/${nasty.padEnd(255, nasty)}`;
    await addPast(db, id, { count: 20, routes: [route] });
    await page.goto(`${portal.base}/keys`);
    const key = nasty.padEnd(64, 'x');
    await page.getByLabel('Name').fill(key);
    await page.getByRole('button', { name: 'Make the key' }).click();
    await visit.shownKey();
    await page.getByRole('row', { name: key }).waitFor();
    for (const path of ['/', '/history', `/history?route=${encodeURIComponent(route)}`, '/keys']) {
      await page.goto(portal.base + path);
      await areTexts(t, page, path);
    }
    await page.goto(`${portal.base}/history`);
    await page.getByRole('row', { name: note }).getByRole('link').click();
    t.match(await textOf(page.getByRole('main')), note);
    await areTexts(t, page, 'the receipt of the grant');
    await page.goto(`${portal.base}/history?kind=charge`);
    await page.getByRole('row', { name: route }).first().getByRole('link').click();
    t.match(await textOf(page.getByRole('main')), `A call on ${route} costs`);
    await areTexts(t, page, 'the receipt of a call');
    await page.goto(`${portal.base}/${encodeURIComponent(nasty)}`);
    await areTexts(t, page, 'a page that is not there');
    await page.goto(`${portal.base}/keys`);
    await page.getByRole('button', { name: `Revoke ${key}` }).click();
    await page.getByText('Ended (1)').waitFor();
    t.match(asked, [key]);
    t.equal(context.pages().length, 1);
  });
});

t.test('what slipped into a page all the same would neither run nor tell anybody', async (t) => {
  const portal = await startPortal(t, 'sqlite');
  const elsewhere = JSON.stringify(`${portal.upstream.url}/stolen`);
  const context = await browser.newContext();
  t.teardown(() => context.close());
  const page = await context.newPage();
  for (const path of ['/', '/history', '/nothing']) {
    await page.goto(portal.base + path);
    const forbidden = await page.evaluate<string[]>(`new Promise((resolve) => {
      const forbidden = [];
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
        if (forbidden.push(effectiveDirective) === 6) resolve(forbidden.sort());
      });
      document.body.innerHTML += '<img src="x" onerror="stolen = 1"><img src=' + ${elsewhere} + '>' +
        '<iframe src=' + ${elsewhere} + '></iframe>';
      for (const terms of [{ textContent: 'stolen = 2' }, { src: ${elsewhere} }]) {
        document.body.append(Object.assign(document.createElement('script'), terms));
      }
      fetch(${elsewhere}, { mode: 'no-cors' }).catch(() => {});
    })`);
    const directives = ['connect-src', 'frame-src', 'img-src', 'script-src-attr', 'script-src-elem', 'script-src-elem'];
    t.same(forbidden, directives, path);
    t.equal(await page.evaluate('typeof stolen'), 'undefined');
  }
  t.same(portal.upstream.seen, []);
});

const withoutCredits = { Basic: { startingCredits: 0 } };

/** Of the whole history, as it streams. */
async function linesOfFile({ base }: Portal, { context }: Visit): Promise<number> {
  const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const { body } = await fetch(`${base}/history.csv`, { headers: { cookie } });
  let lines = 0;
  for await (const piece of body ?? []) lines += Buffer.from(piece).toString('latin1').split('\n').length - 1;
  return lines;
}

async function areTexts(t: Test, page: Page, what: string): Promise<void> {
  t.equal(await page.locator('main img, main script, b, [onerror]').count(), 0, what);
  await page.setViewportSize({ width: 360, height: 800 });
  t.equal(await overhangOf(page), 0, `${what} is no wider than a phone`);
}
