// The operators' pages in a real browser: credits are given once, with a reason, and never over somebody else's change.

import type { Request } from 'playwright-core';
import t, { type Test } from 'tap';
import { grantCredits } from '../../src/store/credits.ts';
import { transact } from '../../src/store/database.ts';
import { openBrowser } from '../helpers/browser.ts';
import { headingOf, type Portal, startPortal, textOf, type Visit, visitPortal } from '../helpers/portal-pages.ts';
import { userIdOf } from './charges.ts';

const auth = 'admins: [idp:ann@example.com]';

const browser = await openBrowser(t);

t.test(
  'an operator gives credits with a note, once however often the button is pressed, and the user sees them',
  async (t) => {
    const portal = await startPortal(t, 'sqlite', { auth });
    await visitPortal(t, browser, portal, async (bob) => {
      await bob.enter();
      await visitPortal(t, browser, portal, async (ann) => {
        await openUser(portal, ann);
        await ann.page.getByLabel('Credits', { exact: true }).fill('250');
        await ann.page.getByLabel('Note, why').fill('for <b>the</b> launch');
        await ann.page.getByRole('button', { name: 'Book it' }).dblclick();
        await ann.page.getByText('It is in the ledger.').waitFor();
        await ann.page.getByRole('row', { name: /Credits given \+250/ }).waitFor();
        t.match(await grantsOf(portal), [{ amount: 250, note: 'for <b>the</b> launch', actor: 'idp:ann@example.com' }]);
      });
      await bob.page.getByText('5,250', { exact: true }).waitFor();
      await bob.page
        .getByRole('row', { name: /Credits given \+250 .*for <b>the<\/b> launch/ })
        .getByRole('link')
        .click();
      const receipt = await textOf(bob.page.getByRole('main'));
      t.match(receipt, 'The operator gave these credits. The note says: for <b>the</b> launch');
      t.notMatch(receipt, 'ann@example.com', 'who it was is for operators');
    });
  },
);

t.test(
  'credits that may or may not have been given are given once when it is tried again, also without TLS',
  async (t) => {
    const plain = 'http://portal.plain.example:PORT';
    const portal = await startPortal(t, 'sqlite', { auth, publicUrl: plain });
    await visitPortal(t, browser, portal, async (ann) => {
      const { page } = ann;
      await bobHasBeenHere(t, portal);
      await openUser(portal, ann);
      t.equal(await page.evaluate('isSecureContext'), false);
      await page.route('**/credits', async (route) => {
        t.equal(await passOn(portal, ann, route.request()), 200);
        await route.abort();
      });
      await page.getByLabel('Credits', { exact: true }).fill('250');
      await page.getByLabel('Note, why').fill('a refund');
      await page.getByRole('button', { name: 'Book it' }).click();
      await page.getByText(/Nothing is known of whether this was done/).waitFor();
      t.equal((await grantsOf(portal)).length, 1);
      await page.unroute('**/credits');
      await page.getByRole('button', { name: 'Book it' }).click();
      await page.getByText('It is in the ledger.').waitFor();
      t.equal((await grantsOf(portal)).length, 1);
      await page.getByLabel('Credits', { exact: true }).fill('250');
      await page.getByLabel('Note, why').fill('a refund');
      await page.getByRole('button', { name: 'Book it' }).click();
      await page.getByText('5,500', { exact: true }).first().waitFor();
      t.equal((await grantsOf(portal)).length, 2, 'the next one is another');
    });
  },
);

t.test('a balance that has changed since it was looked at is not set', async (t) => {
  const portal = await startPortal(t, 'sqlite', { auth });
  const { db } = portal.test.database;
  await visitPortal(t, browser, portal, async (ann) => {
    const { page } = ann;
    await bobHasBeenHere(t, portal);
    await openUser(portal, ann);
    const user = await userIdOf(db, 'bob@example.com');
    await page.getByLabel('What').first().selectOption({ label: 'Set the balance' });
    await page.getByLabel(/New balance, now 5,000/).fill('100');
    await transact(db, (trx) => grantCredits(trx, user, 10, { actor: 'another', note: 'meanwhile' }));
    await page.locator('#balance').getByText('5,010', { exact: true }).waitFor();
    t.ok(await page.getByLabel(/New balance, now 5,000/).isVisible(), 'what it is compared with stays as it was seen');
    await page.getByLabel('Note, why').fill('as agreed');
    await page.getByRole('button', { name: 'Book it' }).click();
    await page.getByText('The balance has changed in the meantime. Look at it, then try again.').waitFor();
    const credits = () => db.selectFrom('users').select('credits').where('id', '=', user).executeTakeFirst();
    t.same(await credits(), { credits: 5_010 });
    await page.getByLabel(/New balance, now 5,010/).waitFor();
    await page.getByRole('button', { name: 'Book it' }).click();
    await page.getByText('It is in the ledger.').waitFor();
    t.same(await credits(), { credits: 100 });
  });
});

async function bobHasBeenHere(t: Test, portal: Portal): Promise<void> {
  await visitPortal(t, browser, portal, ({ enter }) => enter());
}

/** As Ann, from the first page to the one about Bob. */
async function openUser(portal: Portal, { page, enter }: Visit): Promise<void> {
  await enter('/', 'Ann Example');
  await page.getByRole('link', { name: 'Users' }).click();
  await page
    .getByRole('row', { name: /bob@example\.com/ })
    .getByRole('link')
    .first()
    .click();
  await page.getByRole('heading', { name: 'Move credits' }).waitFor();
  if ((await headingOf(page)) !== 'Bob Example') throw new Error(`this is ${page.url()} at ${portal.base}`);
}

/** Sends what the browser would have sent; it does not hear of the answer. */
async function passOn({ gateway, url }: Portal, { context }: Visit, request: Request): Promise<number> {
  const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const headers = { ...request.headers(), cookie, origin: url };
  const { pathname } = new URL(request.url());
  return (await fetch(gateway.address + pathname, { method: 'POST', headers, body: request.postData() })).status;
}

function grantsOf({ test }: Portal) {
  return test.database.db.selectFrom('ledger').selectAll().where('kind', '=', 'grant').execute();
}
