// A real browser judges the fields: a script on a page of another origin calls a server that answers with them.

import { createServer, type RequestListener } from 'node:http';
import t, { type Test } from 'tap';
import type { Cors } from '../../src/config/config.ts';
import { isPreflight, preflightFields, withCors } from '../../src/gateway/cors.ts';
import { openBrowser } from '../helpers/browser.ts';
import { listen } from './gate.ts';

const browser = await openBrowser(t);

/** What the script saw of one call, or that the browser refused it. */
type Seen = { status: number; cost: string | null; total: string | null; etag: string | null } | 'refused';

const upstreamFields = [
  'X-Credits-Cost',
  '7',
  'X-Total',
  '9',
  'Access-Control-Expose-Headers',
  'X-Total',
  'ETag',
  '"x"',
];

const answerWith =
  (cors: Cors, methods: readonly string[] | null): RequestListener =>
  (request, answer) => {
    if (isPreflight(request.method ?? '', request.headers)) {
      answer.writeHead(204, preflightFields(cors, request.headers, methods)).end();
      return;
    }
    answer.writeHead(402, withCors(upstreamFields, cors, request.headers.origin)).end('body');
  };

/** The page elsewhere: its script calls with a key and a field of its own. */
const page = `<script>
  async function call(url, method) {
    const headers = { Authorization: 'Bearer tg_x', 'X-Stainless-Lang': 'js' };
    const answer = await fetch(url, { method, headers }).catch(() => null);
    if (answer === null) return 'refused';
    const field = (name) => answer.headers.get(name);
    return { status: answer.status, cost: field('x-credits-cost'), total: field('x-total'), etag: field('etag') };
  }
</script>`;

/** Serves on a port of its own, which makes an origin of its own. */
async function originOf(t: Test, listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(t, createServer(listener))}`;
}

t.test('a script of a listed origin may call with its key, and reads what it was charged', async (t) => {
  const origin = await originOf(t, (_, answer) => answer.setHeader('Content-Type', 'text/html').end(page));
  const tab = await browser.newPage();
  await tab.goto(origin);
  const seen: Seen = { status: 402, cost: '7', total: '9', etag: null };
  const ask = async (cors: Cors, methods: readonly string[] | null, method: string) => {
    const api = await originOf(t, answerWith(cors, methods));
    return tab.evaluate<Seen>(`call(${JSON.stringify(api)}, ${JSON.stringify(method)})`);
  };

  const listed: Cors = { origins: [origin], headers: ['*'], maxAgeSeconds: 0 };
  t.same(await ask(listed, null, 'PUT'), seen);
  t.same(await ask(listed, ['GET', 'PUT'], 'PUT'), seen);
  t.same(await ask({ ...listed, headers: ['authorization', 'x-stainless-lang'] }, null, 'GET'), seen);
  t.same(await ask({ ...listed, origins: '*' }, null, 'DELETE'), seen);

  t.equal(await ask(listed, ['GET', 'POST'], 'PUT'), 'refused', 'a method that the path does not take');
  t.equal(await ask({ ...listed, headers: ['authorization'] }, null, 'GET'), 'refused', 'a field that is not listed');
  t.equal(await ask({ ...listed, origins: ['https://app.example.com'] }, null, 'GET'), 'refused', 'another origin');
});
