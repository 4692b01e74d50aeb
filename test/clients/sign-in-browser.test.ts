// A real browser signs in, and pages spend with the session: those of the gateway's origin, and no other.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { openBrowser } from '../helpers/browser.ts';
import { noteCredentialIn } from '../helpers/evidence.ts';
import { startIdentityProvider } from '../helpers/identity-provider.ts';
import { providerYaml, type SignInGateway, startSignInGateway } from '../helpers/sign-in-gateways.ts';
import { until } from '../helpers/until.ts';
import { acceptSockets, answerWithPage } from './signed-in-page-upstream.ts';

const routes = `  - { path: /page, upstream: api, auth: none }
  - { path: /api, upstream: api, cost: 7 }`;

const browser = await openBrowser(t);

t.test('somebody chooses who they are, lands where they wanted to go, and the page spends their credits', async (t) => {
  const { page, gate } = await openSignedIn(t);
  t.equal(page.url(), `${gate.url}/page`);
  await page.click('#things');
  t.equal(await page.getByRole('status').textContent(), '200, remaining 4993');
  const { headers = {} } = gate.upstream.seen.at(-1) ?? {};
  t.equal(headers['sec-fetch-site'], 'same-origin');
  t.notMatch(headers.cookie ?? '', 'tollgate_', 'the session goes no further');
  t.match(await chargesOf(gate, 1), [{ amount: -7, user_id: headers['x-tollgate-user'] }]);
});

t.test('a WebSocket of the page is opened with the session, and charged once', async (t) => {
  const { page, gate, sockets } = await openSignedIn(t);
  await page.click('#talk');
  t.equal(await page.getByRole('status').textContent(), 'heard hello');
  const [headers = {}] = sockets;
  // Chromium says of a WebSocket where it comes from by Origin alone.
  t.equal(headers['sec-fetch-site'], undefined);
  t.equal(headers.origin, gate.url);
  t.match(await chargesOf(gate, 1), [{ amount: -7, user_id: headers['x-tollgate-user'] }]);
});

t.test('a page of another origin spends nothing, whatever it tries', async (t) => {
  const { page, gate, sockets } = await openSignedIn(t);
  const called = gate.upstream.seen.length;
  const target = JSON.stringify(`${gate.url}/api/things`);
  const foreign = await startForeignPage(t);
  let refused = 0;
  for (const [name, script] of Object.entries(attemptsAt(target))) {
    const tab = await page.context().newPage();
    await tab.goto(foreign);
    await tab.evaluate(script);
    refused += 1;
    const refusals = await until(
      () => gate.log.filter(({ path, msg }) => msg === 'request' && path === '/api/things'),
      ({ length }) => length >= refused,
    );
    t.match(refusals.slice(refused - 1), [{ status: 401, error: 'TG_AUTH_MISSING', user: null }], name);
    await tab.close();
  }
  t.equal(gate.upstream.seen.length, called, 'no call got through');
  t.same(sockets, []);
  await page.click('#things');
  t.equal(await page.getByRole('status').textContent(), '200, remaining 4993', 'and the session was there all along');
  t.equal((await chargesOf(gate, 1)).length, 1);
});

t.test('a page of another origin signs nobody out', async (t) => {
  const { page, gate } = await openSignedIn(t);
  await page.goto(await startForeignPage(t));
  const target = JSON.stringify(`${gate.url}/_tollgate/auth/logout`);
  await page.evaluate(`fetch(${target}, { method: 'POST', credentials: 'include', mode: 'no-cors' })`);
  await page.goto(`${gate.url}/page`);
  await page.click('#things');
  t.equal(await page.getByRole('status').textContent(), '200, remaining 4993');
});

t.test('who has signed out spends nothing more', async (t) => {
  const { page, gate } = await openSignedIn(t);
  await page.click('#things');
  t.equal(await page.getByRole('status').textContent(), '200, remaining 4993');
  const context = page.context();
  const kept = await context.cookies();
  await page.click('#leave');
  t.equal(await page.getByRole('status').nth(1).textContent(), 'left, 204');
  await page.click('#things');
  t.equal(await page.getByRole('status').nth(2).textContent(), '401, remaining null');
  const ours = (await context.cookies()).filter(({ name }) => name.startsWith('tollgate_'));
  t.same(ours, []);
  await context.addCookies(kept);
  await page.click('#things');
  t.equal(await page.getByRole('status').nth(3).textContent(), '401, remaining null', 'nor with what was kept');
  t.equal((await chargesOf(gate, 1)).length, 1);
});

/** A tab of a browser in which somebody has signed in, and landed on the upstream's page. */
async function openSignedIn(t: Test) {
  const provider = await startIdentityProvider(t, { interactive: true });
  provider.people.set('bob', { name: 'Bob Example', email: 'bob@example.com', email_verified: true });
  const providers = providerYaml('idp', provider);
  const gate = await startSignInGateway(t, 'sqlite', { providers, routes, answer: answerWithPage });
  provider.allowRedirect(gate.redirectUri('idp'));
  const sockets = acceptSockets(gate.upstream.server);
  const context = await browser.newContext();
  t.teardown(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(`${gate.url}/_tollgate/auth/login/idp?returnTo=/page`);
  await page.getByRole('button', { name: 'Bob Example' }).click();
  await page.waitForURL(`${gate.url}/page`);
  for (const { name, value, httpOnly } of await context.cookies()) {
    if (!name.startsWith('tollgate_')) continue;
    noteCredentialIn(value);
    t.ok(httpOnly, `${name} is not for scripts`);
  }
  return { page, gate, sockets };
}

/** An empty page on another port: another origin, though the same site. */
async function startForeignPage(t: Test): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Foreign</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** One request each to an address, which is a JavaScript text. */
function attemptsAt(target: string): Record<string, string> {
  return {
    'a fetch': `void fetch(${target}, { credentials: 'include' }).catch(() => {})`,
    'a fetch that reads nothing': `void fetch(${target}, { credentials: 'include', mode: 'no-cors', method: 'POST' })`,
    'a beacon': `void navigator.sendBeacon(${target}, 'x')`,
    'a picture': `void (new Image().src = ${target})`,
    'a frame': `{
      const frame = document.createElement('iframe');
      frame.src = ${target};
      document.body.append(frame);
    }`,
    'a WebSocket': `void new WebSocket(${target}.replace('http', 'ws'))`,
    'a form': `{
      const form = document.createElement('form');
      Object.assign(form, { method: 'post', action: ${target} });
      document.body.append(form);
      form.submit();
    }`,
    'a link': `{
      const link = document.createElement('a');
      link.href = ${target};
      link.click();
    }`,
  };
}

/** The charges, once there are so many. */
function chargesOf({ test }: SignInGateway, count: number) {
  const query = test.database.db.selectFrom('ledger').selectAll().where('kind', '=', 'charge');
  return until(
    () => query.execute(),
    (charges) => charges.length >= count,
  );
}
