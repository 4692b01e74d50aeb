// Callers that leave, or are slow, at every point of a call: the upstream learns of it, and the contract says what it costs.

import { strict as assert } from 'node:assert';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { until } from '../../helpers/until.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';

const muchBytes = 64 * 2 ** 20;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export const leavingCases: readonly ProxyCase[] = [
  {
    name: 'a caller that leaves in the middle of an answer stops the upstream',
    charges: 1,
    run: async (rig) => {
      const { front, exchange } = await waiting(rig);
      const wire = front.connect().send(front.get('/'));
      const { response } = await exchange();
      response.writeHead(200).write('some of it');
      await wire.waitFor('some of it');
      wire.leave();
      await untilTrue(() => response.destroyed);
    },
  },
  ...[
    { status: 200, charges: 1 },
    { status: 503, charges: 0 },
  ].map(
    ({ status, charges }): ProxyCase => ({
      name: `a caller that leaves before an answer of ${status} has the upstream finish its work`,
      charges,
      run: async (rig) => {
        const { front, exchange } = await waiting(rig);
        const wire = front.connect().send(front.get('/'));
        const { response } = await exchange();
        wire.leave();
        await wire.waitForClose();
        // Another call has gone through by then, so the proxy has had its time to see that the caller left.
        const other = front.connect().send(front.get('/other'));
        (await exchange()).response.writeHead(404).end();
        await other.answer();
        assert.equal(response.destroyed, false);
        response.writeHead(status).end('done');
      },
    }),
  ),
  {
    name: 'a caller that leaves in the middle of its upload takes it back',
    charges: 0,
    run: async (rig) => {
      const { front, exchange } = await waiting(rig);
      const wire = front.connect().send(`${front.head('POST / HTTP/1.1', 'Host: h', 'Content-Length: 100')}some of it`);
      const { request } = await exchange();
      await new Promise((resolve) => request.once('data', resolve));
      wire.leave();
      await untilTrue(() => request.destroyed);
      assert.equal(request.complete, false);
    },
  },
  {
    name: 'a caller that does not read is cut in time, and the upstream with it',
    charges: 1,
    options: { readTimeoutMs: 500 },
    run: async (rig) => {
      const { front, exchange } = await waiting(rig);
      const wire = front.connect();
      wire.socket.pause();
      wire.send(front.get('/'));
      const { response } = await exchange();
      response.end(Buffer.alloc(muchBytes));
      await untilTrue(() => response.closed);
    },
  },
  {
    name: 'a caller that reads slowly and does not stop gets it all',
    charges: 1,
    options: { readTimeoutMs: 1_000 },
    run: async (rig) => {
      const { front, exchange } = await waiting(rig);
      const wire = front.connect();
      wire.send(front.get('/'));
      wire.socket.on('data', () => {
        wire.socket.pause();
        setImmediate(() => wire.socket.resume());
      });
      (await exchange()).response.end(Buffer.alloc(8 * 2 ** 20, 'x'));
      assert.equal((await wire.answer()).body.length, 8 * 2 ** 20);
    },
  },
  {
    name: 'a caller that does not send the rest of its upload is told so in time',
    charges: 0,
    options: { readTimeoutMs: 500 },
    run: async (rig) => {
      const { front, exchange } = await waiting(rig);
      const wire = front.connect().send(`${front.head('POST / HTTP/1.1', 'Host: h', 'Content-Length: 100')}some of it`);
      const { request } = await exchange();
      assert.equal((await wire.answer()).status, 408);
      await untilTrue(() => request.destroyed);
    },
  },
  {
    name: 'a caller that goes on listening may take its time to send',
    charges: 1,
    options: { readTimeoutMs: 300 },
    run: async (rig) => {
      const { front, exchange } = await waiting(rig);
      const wire = front.connect();
      wire.send(`${front.head('POST / HTTP/1.1', 'Host: h', 'Transfer-Encoding: chunked')}4\r\nsome\r\n`);
      const { response } = await exchange();
      // Longer than the limit, and than two looks at all calls for it.
      for (let i = 0; i < 15; i++) {
        response.write(`event ${i} `);
        await wire.waitFor(`event ${i} `);
        await setTimeout(100);
      }
      wire.send('0', '', '');
      response.end('end');
      assert.match((await wire.answer()).body, /^event 0 .*event 14 end$/);
    },
  },
  {
    name: 'callers that leave between their calls, or before the first, do no harm',
    charges: 2,
    run: async (rig) => {
      const front = await rig.serve((_request, response) => response.end('ok'));
      const wire = front.connect().send(front.get('/'));
      await wire.answer();
      wire.socket.resetAndDestroy();
      front.connect().leave();
      front.connect().send('GET / HT').leave();
      assert.equal((await front.call('/')).status, 200);
    },
  },
];

/** An upstream whose answers are the case's to give: `exchange` is the next request. */
async function waiting(rig: Rig): Promise<{ front: Front; exchange: () => Promise<Exchange> }> {
  const exchanges: Exchange[] = [];
  const front = await rig.serve((request, response) => {
    exchanges.push({ request, response });
  });
  const exchange = async () => {
    await untilTrue(() => exchanges.length > 0);
    return exchanges.shift() as Exchange;
  };
  return { front, exchange };
}

async function untilTrue(isTrue: () => boolean): Promise<void> {
  await until(isTrue, (is) => is);
}
