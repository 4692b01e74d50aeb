// How calls end, and what each end costs: the charging table, over real sockets. The promise behind every test is also
// that no hold stays open; `gate.settled()` waits for that.

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { until } from '../helpers/until.ts';
import { bodyOf, call, type Gate, openGate, promised, Wire } from './gate.ts';

const head = ['Host: h', 'X-Api-Key: tg_u'];
const get = ['GET / HTTP/1.1', ...head, '', ''];

t.test('any other status than 2xx costs nothing', async (t) => {
  const gate = await openGate(t, {
    upstream: (request, response) => response.writeHead(Number(request.url?.slice(1))).end(),
  });
  for (const status of [301, 304, 400, 402, 404, 429, 500, 503, 599]) {
    const answer = await call(gate, `/${status}`);
    t.match(answer, { status, headers: { 'x-credits-cost': '0', 'x-credits-remaining': '100' } });
  }
  t.equal(await gate.settled(), 0);
});

t.test('a caller who leaves mid-answer pays, and the upstream is told to stop', async (t) => {
  const cancelled = promised<void>();
  const gate = await openGate(t, {
    upstream: (_request, response) => {
      response.once('close', () => cancelled.resolve());
      response.writeHead(200).write('some of it');
    },
  });
  const wire = new Wire(t, gate.port).send(...get);
  await wire.waitFor('some of it');
  wire.leave();
  await cancelled.promise;
  t.equal(await gate.settled(), 1);
  t.match(gate.charges, [{ ended: 'caller-left' }]);
});

t.test('a caller who leaves before the answer pays if it is 2xx, and not otherwise', async (t) => {
  for (const [status, charges] of [
    [200, 1],
    [500, 0],
  ] as const) {
    const asked = promised<ServerResponse>();
    let isCut = false;
    const gate = await openGate(t, {
      upstream: async (request, response) => {
        await bodyOf(request);
        response.once('close', () => {
          isCut = !response.headersSent;
        });
        asked.resolve(response);
      },
    });
    const wire = new Wire(t, gate.port).send('POST / HTTP/1.1', ...head, 'Content-Length: 4', '', 'body');
    const response = await asked.promise;
    wire.leave();
    await wire.waitForClose();
    // Another call goes through in the meantime, so the gateway has had its time to see that the caller left.
    t.equal((await call(gate, '/_tollgate/x')).status, 404);
    t.equal(gate.meter.state().holdsOpen, 1, 'the hold waits for the status');
    t.equal(isCut, false, 'and so does the request');
    response.writeHead(status).end('x'.repeat(100_000));
    t.equal(await gate.settled(), charges, String(status));
    t.ok(gate.charges.every(({ ended }) => ended === 'caller-left-early'));
  }
});

t.test('a caller who left is not waited for longer than the upstream may take', async (t) => {
  const asked = promised<void>();
  const gate = await openGate(t, {
    upstreamOptions: { responseHeaderTimeout: 100 },
    upstream: () => asked.resolve(),
  });
  const wire = new Wire(t, gate.port).send(...get);
  await asked.promise;
  wire.leave();
  t.equal(await gate.settled(), 0);
});

t.test(
  'a caller who leaves before its own body is whole pays nothing, and the upstream request is aborted',
  async (t) => {
    const arrived = promised<void>();
    const aborted = promised<void>();
    const gate = await openGate(t, {
      upstream: (request) => {
        request.once('data', () => arrived.resolve());
        request.once('close', () => aborted.resolve());
      },
    });
    const wire = new Wire(t, gate.port).send('POST / HTTP/1.1', ...head, 'Content-Length: 100', '', 'some of it');
    await arrived.promise;
    wire.leave();
    await aborted.promise;
    t.equal(await gate.settled(), 0);
  },
);

t.test('a caller who leaves while the hold is awaited pays nothing, and the upstream is not called', async (t) => {
  const asked = promised<void>();
  const granted = promised<void>();
  const left = promised<void>();
  let released = 0;
  const gate = await openGate(t, {
    upstream: () => t.fail('called'),
    wrapMeter: (meter) => ({
      settle: (...parts) => meter.settle(...parts),
      remaining: (...parts) => meter.remaining(...parts),
      free: (...parts) => meter.free(...parts),
      hold: async (...parts) => {
        asked.resolve();
        await granted.promise;
        return meter.hold(...parts);
      },
      release: (hold) => {
        released += 1;
        meter.release(hold);
      },
    }),
    prepare: (app) => app.server.on('connection', (socket: Socket) => socket.once('close', () => left.resolve())),
  });
  const wire = new Wire(t, gate.port).send(...get);
  await asked.promise;
  wire.leave();
  await left.promise;
  granted.resolve();
  await until(
    () => released,
    (count) => count === 1,
  );
  t.equal(await gate.settled(), 0);
});

t.test('a pipelined call whose connection goes before its turn is resolved too', async (t) => {
  const asked: string[] = [];
  const gate = await openGate(t, {
    upstream: (request, response) => {
      asked.push(request.url ?? '');
      if (request.url === '/second') response.end('done');
    },
  });
  const line = (path: string) => [`GET ${path} HTTP/1.1`, ...head, '', ''].join('\r\n');
  const wire = new Wire(t, gate.port).send(line('/first') + line('/second'));
  await until(
    () => asked.length,
    (count) => count === 2,
  );
  wire.leave();
  t.equal(await gate.settled(), 1, 'the one that was answered is charged; the other runs into its time-out');
});

t.test('a call that fails between its hold and the upstream gives the hold back', async (t) => {
  const gate = await openGate(t, {
    upstream: () => t.fail('called'),
    prepare: (app) =>
      app.addHook('preHandler', async () => {
        throw new Error('broken hook');
      }),
  });
  const answer = await call(gate, '/');
  t.match(answer, { status: 500, body: '{"error":"The gateway failed. The request id finds the cause in its log."}' });
  t.equal(await gate.settled(), 0);
});

t.test('when the server closes, a call whose caller has left is waited for and charged', async (t) => {
  const asked = promised<ServerResponse>();
  const gate = await openGate(t, { upstream: (_request, response) => asked.resolve(response) });
  const closing = await leaveAndClose(t, gate, asked.promise);
  (await asked.promise).end('late');
  await closing();
  t.equal(gate.meter.state().holdsOpen, 0);
  t.equal(gate.charges.length, 1);
});

t.test('when the limit for closing comes, what is still open is given up and costs nothing', async (t) => {
  const asked = promised<ServerResponse>();
  const gate = await openGate(t, { upstream: (_request, response) => asked.resolve(response) });
  const closing = await leaveAndClose(t, gate, asked.promise);
  gate.openCalls.giveUp();
  await closing();
  t.equal(gate.meter.state().holdsOpen, 0);
  t.equal(gate.charges.length, 0);
});

t.test('an answer under way when the limit for closing comes costs nothing', async (t) => {
  const gate = await openGate(t, { upstream: (_request, response) => void response.write('begun') });
  const wire = new Wire(t, gate.port).send(...get);
  await wire.waitFor('begun');
  gate.openCalls.giveUp();
  t.equal(await gate.settled(), 0);
  await wire.waitForClose();
});

/** Leaves once the upstream was asked, and begins to close. The promise that closes is wrapped, so as not to be awaited. */
async function leaveAndClose(t: Test, gate: Gate, asked: Promise<unknown>): Promise<() => Promise<void>> {
  const wire = new Wire(t, gate.port).send(...get);
  await asked;
  wire.leave();
  await wire.waitForClose();
  const closing = gate.close();
  return () => closing;
}
