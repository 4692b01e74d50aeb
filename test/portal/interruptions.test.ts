// What comes between people and the pages: a database that is down, a session that ends.

import t from 'tap';
import { openBrowser } from '../helpers/browser.ts';
import { emptyDatabase } from '../helpers/databases.ts';
import { openLine } from '../helpers/lines.ts';
import { headingOf, startPortal, textOf, visitPortal } from '../helpers/portal-pages.ts';
import { until } from '../helpers/until.ts';

const browser = await openBrowser(t);

t.test('while the database is down the pages say so, and come back by themselves', async (t) => {
  const test = await emptyDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  const portal = await startPortal(t, 'postgres', { database: { ...test, url: line.url } });
  await visitPortal(t, browser, portal, async ({ page, context, enter }) => {
    await enter();
    const history = await context.newPage();
    await line.cut();
    await until(
      async () => (await history.goto(`${portal.base}/history`))?.status(),
      (status) => status === 503,
    );
    t.equal(await headingOf(history), 'The database is down');
    await page.locator('html.stale').waitFor();
    t.equal(await headingOf(page), 'Overview', 'what was there stays, and is marked');
    await line.heal();
    await history.getByRole('heading', { name: 'History', level: 1 }).waitFor();
    await page.locator('html:not(.stale)').waitFor();
    t.match(await textOf(page.getByRole('main')), '5,000');
  });
});

t.test('who looks at a page when the session ends comes to the door, and from there back to the page', async (t) => {
  const portal = await startPortal(t, 'sqlite', { session: 'maxAge: 8s' });
  await visitPortal(t, browser, portal, async ({ page, context, enter, passDoor }) => {
    await enter();
    const door = page.getByRole('link', { name: 'Sign in with idp' });
    await page.getByRole('link', { name: 'Keys' }).click();
    const overview = await context.newPage();
    await overview.goto(`${portal.base}/`);
    await door.waitFor();
    t.equal(page.url(), `${portal.base}/keys`);
    await overview.getByRole('link', { name: 'Sign in with idp' }).waitFor();
    await passDoor();
    t.equal(page.url(), `${portal.base}/keys`);
    t.equal(await headingOf(page), 'API keys');
  });
});
