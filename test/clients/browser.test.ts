// A real browser on a page that comes through the gateway, whose script calls the API beside it with `fetch`.

import type { Browser } from 'playwright-core';
import t, { type Test } from 'tap';
import { openBrowser } from '../helpers/browser.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { until } from '../helpers/until.ts';
import { pageUpstream } from './page-upstream.ts';

const routes = `  - { path: /page, upstream: api, auth: none }
  - { path: /api, upstream: api, cost: 7 }`;
const insufficient = 'Insufficient credits. Please contact support to add more credits to your account.';

const browser = await openBrowser(t);

t.test(
  'a page reads status, credits and body of its calls, and shows the 402 when the credits are short',
  async (t) => {
    const { gate, page, addresses } = await openPage(t, browser, 10);
    await page.click('#things');
    t.equal(await page.getByRole('status').textContent(), 'hammer and nail');
    t.equal(await page.getByRole('note').textContent(), '200, cost 7, remaining 3, required null');
    await page.click('#things');
    t.equal(await page.getByRole('alert').textContent(), insufficient);
    t.ok(await page.getByRole('alert').isVisible());
    t.equal(await page.getByRole('note').nth(1).textContent(), '402, cost 0, remaining 3, required 7');
    const [, call, ...rest] = gate.upstream.seen;
    t.match(call, { url: '/api/things', headers: { 'sec-fetch-site': 'same-origin', 'x-tollgate-user': 'u' } });
    t.equal(call?.headers['x-api-key'], undefined, 'the key stays with the gateway');
    t.same(rest, []);
    t.match(await chargesOf(gate), [{ user_id: 'u', amount: -7 }]);
    t.same(
      addresses,
      ['/page', '/api/things', '/api/things'].map((path) => gate.gateway.address + path),
    );
  },
);

t.test('a page reads a streamed body piece by piece as the upstream writes it', async (t) => {
  const { gate, page, stream } = await openPage(t, browser, 10);
  await page.click('#words');
  await page.getByText('words begin').waitFor();
  for (const [i, word] of ['one', 'zwei – drei', 'four'].entries()) {
    stream().response.write(word);
    t.equal(await page.getByRole('status').nth(i).textContent(), word, 'is shown before the next is written');
  }
  stream().response.end();
  await page.getByText('words end').waitFor();
  t.match(await chargesOf(gate), [{ user_id: 'u', amount: -7 }]);
});

t.test('a tab that is closed while a body streams pays for it, and the upstream is given up', async (t) => {
  const { gate, page, stream } = await openPage(t, browser, 10);
  await page.click('#words');
  await page.getByText('words begin').waitFor();
  const { response, closed } = stream();
  await page.close();
  await closed;
  t.notOk(response.writableFinished);
  t.match(await chargesOf(gate), [{ user_id: 'u', amount: -7 }]);
});

/** A tab on the page, with the key of a user who has these credits, and the addresses it has asked for. */
async function openPage(t: Test, browser: Browser, credits: number) {
  const upstream = pageUpstream();
  const gate = await startTestGateway(t, 'sqlite', routes, upstream.answer);
  const page = await browser.newPage();
  t.teardown(() => page.close());
  page.setDefaultTimeout(15_000);
  const addresses: string[] = [];
  page.on('request', (request) => addresses.push(request.url().replace(/#.*/, '')));
  await page.goto(`${gate.gateway.address}/page#${await gate.newKey('u', credits)}`);
  const stream = () => {
    const [first] = upstream.streams;
    if (first === undefined) throw new Error('the upstream was not asked');
    return first;
  };
  return { gate, page, addresses, stream };
}

/** The charges, once there is one. */
function chargesOf({ test }: TestGateway) {
  const query = test.database.db.selectFrom('ledger').selectAll().where('kind', '=', 'charge');
  return until(
    () => query.execute(),
    (charges) => charges.length > 0,
  );
}
