// The connections to the upstream: kept while they are good, replaced when they are not, and never used to ask twice.

import { strict as assert } from 'node:assert';
import { until } from '../../helpers/until.ts';
import type { Wire } from '../../helpers/wire.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';

const answer = ['HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok'];

export const connectionCases: readonly ProxyCase[] = [
  {
    name: 'a connection to the upstream serves one call after another',
    charges: 5,
    run: async (rig) => {
      const { front } = await counting(rig, (wire) => wire.send(...answer));
      for (let i = 0; i < 5; i++) assert.equal((await front.call(`/${i}`)).status, 200);
      assert.equal(front.upstream.length, 1);
    },
  },
  {
    name: 'an upstream that closes after its answer is asked on another connection next',
    charges: 3,
    run: async (rig) => {
      const { front } = await counting(rig, (wire) => {
        wire.send('HTTP/1.1 200 OK', 'Connection: close', 'Content-Length: 2', '', 'ok');
        wire.socket.end();
      });
      for (let i = 0; i < 3; i++) assert.equal((await front.call(`/${i}`)).status, 200);
      assert.equal(front.upstream.length, 3);
    },
  },
  ...['GET', 'POST'].map(
    (method): ProxyCase => ({
      name: `${method} after the upstream has closed an idle connection goes through, once`,
      charges: 2,
      run: async (rig) => {
        const { front, asked } = await counting(rig, (wire) => wire.send(...answer));
        assert.equal((await front.call('/1')).status, 200);
        const [idle] = front.upstream;
        idle?.end();
        await until(
          () => idle?.destroyed,
          (isGone) => isGone === true,
        );
        const body = method === 'POST' ? { body: 'body' } : {};
        assert.equal((await front.call('/2', { method, ...body })).status, 200);
        assert.deepEqual(asked, ['GET /1', `${method} /2`]);
      },
    }),
  ),
  ...['GET', 'POST'].map(
    (method): ProxyCase => ({
      name: `${method} is not sent again when the upstream breaks off after reading it`,
      charges: 0,
      run: async (rig) => {
        const { front, asked } = await counting(rig, (wire) => wire.socket.resetAndDestroy());
        const body = method === 'POST' ? { body: 'body' } : {};
        assert.equal((await front.call('/', { method, ...body })).status, 502);
        assert.deepEqual(asked, [`${method} /`]);
      },
    }),
  ),
  {
    name: 'an upstream that is not there is a 502 that names no address',
    charges: 0,
    run: async (rig) => {
      const front = await rig.front('http://127.0.0.1:1');
      const { status, body } = await front.call('/');
      assert.equal(status, 502);
      assert.doesNotMatch(String(body), /127\.0\.0\.1|ECONNREFUSED/);
    },
  },
  {
    name: 'calls at once do not wait for each other',
    charges: 20,
    run: async (rig) => {
      const waiting: Wire[] = [];
      const { front } = await counting(rig, (wire) => {
        waiting.push(wire);
        if (waiting.length === 20) for (const each of waiting) each.send(...answer);
      });
      const calls = Array.from({ length: 20 }, () => front.call('/'));
      for (const { status } of await Promise.all(calls)) assert.equal(status, 200);
    },
  },
];

/** An upstream that does `then` for each request, of which none has a body of more than one packet; and what it was asked. */
async function counting(rig: Rig, then: (wire: Wire) => unknown): Promise<{ front: Front; asked: string[] }> {
  const asked: string[] = [];
  const front = await rig.speak((wire) => {
    let seen = 0;
    wire.socket.on('data', () => {
      const heads = [...wire.received.matchAll(/(GET|POST) (\S+) HTTP\/1\.1\r\n[\s\S]*?\r\n\r\n(body)?/g)];
      for (const [, method, path, body] of heads.slice(seen)) {
        if (method === 'POST' && body === undefined) return;
        seen += 1;
        asked.push(`${method} ${path}`);
        then(wire);
      }
    });
  });
  return { front, asked };
}
