// Which connection to an upstream takes a request, told by how many the upstream sees.

import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { type Sender, UpstreamPool } from '../../src/gateway/connections.ts';
import { until } from '../helpers/until.ts';
import { listen } from './gate.ts';
import { sampleUpstream } from './sample-routes.ts';

const good = { path: '/', method: 'GET', headers: ['Host', 'h'] };

t.test('a connection whose answer has come takes the next request', async (t) => {
  const { pool, seen } = await openPool(t);
  for (let i = 0; i < 5; i++) t.equal(await send(pool, good), 'answered');
  t.equal(seen(), 1);
  t.same(await Promise.all([send(pool, good), send(pool, good), send(pool, good)]), Array(3).fill('answered'));
  t.equal(seen(), 3, 'as many as there are requests at once');
  t.same(await Promise.all([send(pool, good), send(pool, good), send(pool, good)]), Array(3).fill('answered'));
  t.equal(seen(), 3);
});

t.test('a request that cannot be written leaves its connection to the next', async (t) => {
  const { pool, seen } = await openPool(t);
  for (let i = 0; i < 5; i++) {
    t.equal(await send(pool, good), 'answered');
    t.equal(await send(pool, { ...good, headers: ['no name', 'h'] }), 'UND_ERR_INVALID_ARG');
  }
  t.equal(seen(), 1);
});

t.test('a pool that has ended takes no more requests', async (t) => {
  const { pool, seen } = await openPool(t);
  await pool.destroy();
  t.equal(await send(pool, good), 'UND_ERR_DESTROYED');
  t.equal(seen(), 0);
});

async function openPool(t: Test) {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('data', () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'));
  });
  const pool = new UpstreamPool(sampleUpstream(`http://127.0.0.1:${await listen(t, server)}`));
  t.teardown(() => pool.destroy());
  return { pool, seen: () => connections };
}

/** What becomes of it, once its connection has heard of that as well. */
async function send(pool: UpstreamPool, request: typeof good): Promise<string> {
  let outcome = '';
  const sender: Sender = {
    onFlow: () => {},
    onRequestStart: () => {},
    onResponseStart: () => {},
    onResponseEnd: () => {
      outcome = 'answered';
    },
    onResponseError: (_controller, error) => {
      outcome = (error as { code?: string }).code ?? error.message;
    },
  };
  pool.dispatch(request, sender);
  return until(
    () => outcome,
    (told) => told !== '',
  );
}
