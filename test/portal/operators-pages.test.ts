// The operators' pages: not there for ordinary users, and for every operator there is, however they read.

import t from 'tap';
import { openBrowser } from '../helpers/browser.ts';
import { startPortal, visitPortal } from '../helpers/portal-pages.ts';
import { addPast, userIdOf } from './charges.ts';
import { look } from './look.ts';

const auth = 'admins: [idp:ann@example.com]';
const pages = ['users', 'use', 'routes', 'state'];

const browser = await openBrowser(t);

t.test('to an ordinary user there are no such pages and no such calls', async (t) => {
  const portal = await startPortal(t, 'sqlite', { auth });
  await visitPortal(t, browser, portal, async ({ page, enter }) => {
    await enter();
    const id = await userIdOf(portal.test.database.db, 'bob@example.com');
    t.equal(await page.getByRole('navigation').getByRole('listitem').count(), 3);
    const bare = async (path: string) => {
      t.equal((await page.goto(portal.base + path))?.status(), 404, path);
      return (await page.content()).replace(/request <code>[^<]+/, '');
    };
    const nothing = await bare('/nothing');
    for (const path of [...pages, `users/${id}`, `users/${id}/history`]) t.equal(await bare(`/admin/${path}`), nothing);
    for (const [method, path, body] of [
      ['GET', 'users', null],
      ['GET', 'status', null],
      ['POST', `users/${id}/credits`, { kind: 'grant', amount: 1, note: 'for me' }],
      ['PATCH', `users/${id}`, { plan: 'Basic' }],
    ] as const) {
      const url = JSON.stringify(`${portal.base}/api/admin/${path}`);
      const terms = JSON.stringify({
        method,
        headers: { 'content-type': 'application/json' },
        ...(body !== null && { body: JSON.stringify(body) }),
      });
      t.equal(await page.evaluate(`fetch(${url}, ${terms}).then(({ status }) => status)`), 404, `${method} ${path}`);
    }
    const { db } = portal.test.database;
    t.same(await db.selectFrom('ledger').select('kind').execute(), [{ kind: 'signup' }]);
  });
});

t.test("the operators' pages are for everybody too", async (t) => {
  const portal = await startPortal(t, 'sqlite', { auth });
  await visitPortal(t, browser, portal, ({ enter }) => enter());
  const { db } = portal.test.database;
  const id = await userIdOf(db, 'bob@example.com');
  await addPast(db, id, { count: 400, routes: ['/search', '/chat', '/images'] });
  await visitPortal(t, browser, portal, async ({ page, enter }) => {
    await enter('/', 'Ann Example');
    for (const path of [...pages, `users/${id}`, `users/${id}/history`]) {
      t.equal((await page.goto(`${portal.base}/admin/${path}`))?.status(), 200, path);
      await look(t, page, path);
    }
  });
});
