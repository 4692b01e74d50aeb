// Where the portal can be: below a prefix that a proxy in front takes away, and on a host of its own, where scripts of
// upstreams cannot act for whoever has signed in.

import { createServer, type RequestListener, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BrowserContext, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { openBrowser } from '../helpers/browser.ts';
import { noteKeysIn } from '../helpers/evidence.ts';
import { headingOf, type Portal, startPortal, textOf, type Visit, visitPortal } from '../helpers/portal-pages.ts';
import { until } from '../helpers/until.ts';

const routes = `  - { path: /page, upstream: api, auth: none }
  - { path: /search, upstream: api, cost: 7 }`;
const answer: RequestListener = (request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Of an upstream</title>');
};
type StorageState = Awaited<ReturnType<BrowserContext['storageState']>>;

/** Hosts of one site: browsers send the cookies of one along with what a page of the other asks it for. */
const hosts = { publicUrl: 'http://api.app.localhost:PORT', portalUrl: 'http://portal.app.localhost:PORT' };

const browser = await openBrowser(t);

t.test('behind a prefix that is taken away, everything on the pages leads somewhere', async (t) => {
  const { port, forwardTo } = await startFront(t, '/gw');
  const url = `http://127.0.0.1:${port}`;
  const portal = await startPortal(t, 'sqlite', { routes, answer, publicUrl: `${url}/gw` });
  forwardTo(portal.gateway.address);
  await visitPortal(t, browser, portal, async (visit) => {
    const { page, enter } = visit;
    const failed: string[] = [];
    await enter('/keys');
    page.on('response', (response) => {
      if (response.status() >= 400) failed.push(`${response.status()} ${response.url()}`);
    });
    t.equal(page.url(), `${url}/gw/_tollgate/keys`, 'back where one wanted to go');
    await spends(t, portal, visit, `${url}/gw/search`);
    await page
      .getByRole('row', { name: /Call 200/ })
      .getByRole('link')
      .click();
    t.equal(await headingOf(page), 'Call: −7');
    for (const path of ['/', '/history', '/keys']) {
      await page.goto(portal.base + path);
      for (const link of await linksOn(page)) {
        t.ok(link.startsWith(`${url}/gw/_tollgate/`), link);
        t.equal((await page.request.get(link)).status(), 200, link);
      }
    }
    await page.goto(`${url}/gw/_tollgate`);
    t.equal(page.url(), `${portal.base}/`);
    t.same(failed, []);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('link', { name: 'Sign in with idp' }).waitFor();
    t.equal(page.url(), `${portal.base}/`);
  });
});

t.test('on a host of its own the portal works, and shows calls to the other', async (t) => {
  const portal = await startPortal(t, 'sqlite', { routes, answer, ...hosts });
  await visitPortal(t, browser, portal, async (visit) => {
    await visit.enter('/keys');
    await spends(t, portal, visit, `${portal.url}/search`);
  });
});

t.test('a script of an upstream on the other host makes no key, whatever it tries', async (t) => {
  const { port, seen, forwardTo } = await startFront(t);
  const placed = (url: string) => url.replace('PORT', port);
  const places = { publicUrl: placed(hosts.publicUrl), portalUrl: placed(hosts.portalUrl) };
  const portal = await startPortal(t, 'sqlite', { routes, answer, ...places });
  forwardTo(portal.gateway.address);
  const keys = () => portal.test.database.db.selectFrom('api_keys').select('name').execute();
  await visitPortal(t, browser, portal, async ({ page, enter, context }) => {
    await enter();
    const other = await openSignedIn(t, await context.storageState());
    const target = JSON.stringify(`${portal.base}/api/keys`);
    for (const [name, isSent, script] of attemptsAt(target)) {
      await other.goto(`${portal.url}/page`);
      seen.length = 0;
      await other.evaluate(script);
      const [request] = await until(
        () => seen.filter(({ url }) => url === '/_tollgate/api/keys'),
        ([first]) => first?.status !== undefined && first.status !== null,
      );
      if (isSent) t.match(request, { method: 'POST', status: 401, cookie: /tollgate_session=/ }, name);
      else t.match(request, { method: 'OPTIONS', status: 404 }, name);
    }
    t.same(await keys(), []);
    noteKeysIn(await page.evaluate<string>(`fetch(${target}, { method: 'POST' }).then((answer) => answer.text())`));
    t.same(await keys(), [{ name: 'key' }], 'with which a page of the portal makes one');
  });
});

t.test('no page of another origin frames or reads the pages', async (t) => {
  const portal = await startPortal(t, 'sqlite', { routes, answer, ...hosts });
  await visitPortal(t, browser, portal, async ({ enter, context }) => {
    await enter();
    const other = await openSignedIn(t, await context.storageState());
    for (const path of ['/', '/keys', '/history', '/history.csv', '/nothing']) {
      await other.goto(`${portal.url}/page`);
      const target = JSON.stringify(portal.base + path);
      const read = (mode: string) =>
        other.evaluate(`fetch(${target}, { credentials: 'include', mode: '${mode}' })
          .then(async (answer) => answer.type + await answer.text(), (error) => error.name)`);
      t.equal(await read('cors'), 'TypeError', path);
      t.match(await read('no-cors'), /^(?:opaque|TypeError)$/, path);
      if (path === '/history.csv') continue;
      await other.evaluate(`new Promise((resolve) => {
        const frame = document.createElement('iframe');
        Object.assign(frame, { src: ${target}, onload: resolve });
        document.body.append(frame);
      })`);
      t.match(other.frames().at(-1)?.url(), /^chrome-error:/, `${path} in a frame`);
      t.equal(await other.evaluate(openAndLook(target)), 'closed', `${path} in a window that was opened`);
    }
  });
});

/** Makes a key, calls with the line that the page shows, and sees the charge. */
async function spends(t: Test, portal: Portal, { page, shownKey }: Visit, url: string): Promise<void> {
  await page.getByLabel('Name').fill('laptop');
  await page.getByRole('button', { name: 'Make the key' }).click();
  const key = await shownKey();
  const line = await textOf(page.locator('#new-key-call'));
  t.equal(line, `curl -i -H 'Authorization: Bearer ${key}' '${url}'`);
  const { hostname, port, pathname } = new URL(url);
  const path = hostname === '127.0.0.1' ? `http://127.0.0.1:${port}${pathname}` : portal.gateway.address + pathname;
  const called = await fetch(path, { headers: { authorization: `Bearer ${key}` } });
  t.equal(called.status, 200);
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.getByRole('row', { name: /Call 200/ }).waitFor();
  await page.getByText('4,993', { exact: true }).waitFor();
}

function linksOn(page: Page): Promise<string[]> {
  return page.evaluate(
    `[...document.querySelectorAll('a[href], link[href], script[src], img[src]')].map((each) => each.href ?? each.src)
      .filter((link) => !link.includes('#'))`,
  );
}

interface Passed {
  readonly method: string;
  readonly url: string;
  readonly cookie: string;
  /** Null until there is an answer. */
  status: number | null;
}

/** A proxy that knows one prefix, and takes it away. It remembers what has passed. */
async function startFront(t: Test, prefix = '') {
  let target = '';
  const seen: Passed[] = [];
  const server = createServer((incoming, response) => {
    const { method = '', headers, url = '' } = incoming;
    if (!url.startsWith(`${prefix}/`)) {
      incoming.resume();
      response.writeHead(404).end();
      return;
    }
    const passed: Passed = { method, url, cookie: headers.cookie ?? '', status: null };
    seen.push(passed);
    const onward = request(target + url.slice(prefix.length), { method, headers }, (answer) => {
      passed.status = answer.statusCode ?? null;
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(onward.on('error', () => response.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const forwardTo = (address: string) => {
    target = address;
  };
  return { port: String((server.address() as AddressInfo).port), seen, forwardTo };
}

/** A tab of another window of the same person, which nobody watches. */
async function openSignedIn(t: Test, storageState: StorageState): Promise<Page> {
  const context = await browser.newContext({ storageState });
  t.teardown(() => context.close());
  return context.newPage();
}

/**
 * One request each to an address, which is a JavaScript text: what browsers let a page of another origin send, and where
 * they ask first, what they ask.
 */
function attemptsAt(target: string): [name: string, isSent: boolean, script: string][] {
  const asText = `method: 'POST', credentials: 'include', body: '{"name":"stolen"}'`;
  const asJson = `${asText}, headers: { 'content-type': 'application/json' }`;
  return [
    ['a fetch', true, `void fetch(${target}, { ${asText}, mode: 'no-cors' })`],
    ['a fetch of JSON', false, `void fetch(${target}, { ${asJson} }).catch(() => {})`],
    ['a beacon', true, `void navigator.sendBeacon(${target}, '{}')`],
    [
      'a form',
      true,
      `{
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action: ${target}, enctype: 'text/plain' });
        const field = document.createElement('input');
        Object.assign(field, { name: '{"name":"stolen","x":"', value: '"}' });
        form.append(field);
        document.body.append(form);
        form.submit();
      }`,
    ],
  ];
}

/** Whether a page that was opened can still be reached. */
function openAndLook(target: string): string {
  return `new Promise((resolve) => {
    const opened = open(${target});
    const timer = setInterval(() => {
      if (!opened.closed) return;
      clearInterval(timer);
      resolve('closed');
    }, 20);
  })`;
}
