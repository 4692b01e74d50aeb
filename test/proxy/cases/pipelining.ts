// Requests that are sent ahead of the answers to those before: each has its turn, and what happens to one is not taken for
// the doing of those behind it.

import { strict as assert } from 'node:assert';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { until } from '../../helpers/until.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export const pipeliningCases: readonly ProxyCase[] = [
  {
    name: 'an answer that waits behind a slow one is not taken for one that nobody reads',
    charges: 2,
    options: { readTimeoutMs: 300 },
    run: async (rig) => {
      const front = await rig.serve(async ({ url }, response) => {
        // Longer than the limit, and than a look at all calls for it.
        if (url === '/slow') await setTimeout(1_200);
        response.end(url);
      });
      const wire = front.connect().send(front.get('/slow') + front.get('/fast'));
      assert.equal((await wire.answer()).body, '/slow');
      assert.equal((await wire.answer()).body, '/fast');
    },
  },
  {
    name: 'a call behind an answer that breaks off is not charged',
    charges: 0,
    run: async (rig) => {
      const { front, exchange } = await waiting(rig);
      const wire = front.connect().send(front.get('/first') + front.get('/second'));
      const first = await exchange('/first');
      first.response.writeHead(200, { 'Content-Length': 100 }).write('some of it');
      (await exchange('/second')).response.end('whole');
      await wire.waitFor('some of it');
      // The second answer has come as far as the proxy by then.
      const other = front.connect().send(front.get('/other'));
      (await exchange('/other')).response.writeHead(404).end();
      await other.answer();
      first.response.destroy();
      assert.equal((await wire.waitForClose()).includes('whole'), false);
    },
  },
  {
    name: 'a call behind a request after which the connection closes is given up, and not charged',
    charges: 0,
    run: async (rig) => {
      const { front, exchange } = await waiting(rig);
      // A caller who is known is forwarded at once, which is before the connection is gone.
      const warm = front.connect().send(front.get('/warm'));
      (await exchange('/warm')).response.writeHead(404).end();
      await warm.answer();
      const malformed = front.head('GET /malformed HTTP/1.1', 'Host: h', 'Authorization: a', 'Authorization: b');
      const wire = front.connect().send(malformed + front.get('/behind'));
      assert.equal((await wire.answer()).status, 400);
      const { request } = await exchange('/behind');
      await untilTrue(() => request.destroyed);
      await wire.waitForClose();
    },
  },
  {
    name: 'a CONNECT behind a call does not overtake its answer',
    charges: 1,
    run: async (rig) => {
      const { front, exchange } = await waiting(rig);
      const wire = front.connect().send(front.get('/first') + front.head('CONNECT h:1 HTTP/1.1', 'Host: h:1'));
      (await exchange('/first')).response.end('first');
      assert.equal((await wire.answer()).body, 'first');
      assert.equal((await wire.answer()).status, 405);
    },
  },
];

/** An upstream whose answers are the case's to give: `exchange` is the next request for a path. */
async function waiting(rig: Rig): Promise<{ front: Front; exchange: (path: string) => Promise<Exchange> }> {
  const exchanges = new Map<string, Exchange>();
  const front = await rig.serve((request, response) => {
    exchanges.set(request.url ?? '', { request, response });
  });
  const exchange = async (path: string) => {
    await untilTrue(() => exchanges.has(path));
    return exchanges.get(path) as Exchange;
  };
  return { front, exchange };
}

async function untilTrue(isTrue: () => boolean): Promise<void> {
  await until(isTrue, (is) => is);
}
