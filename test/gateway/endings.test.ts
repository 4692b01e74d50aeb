// How calls end, and what each end costs: the charging table, over real sockets. The promise behind every test is also
// that no hold stays open; `gate.settled()` waits for that.

import type { ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import t from 'tap';
import { until } from '../helpers/until.ts';
import { bodyOf, call, listen, openGate, Wire } from './gate.ts';

const head = ['Host: h', 'X-Api-Key: tg_u'];
const get = ['GET / HTTP/1.1', ...head, '', ''];

/** A place to wait for something that happens elsewhere. */
function promised<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

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

t.test('a status that HTTP does not know is a broken upstream', async (t) => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 777 Odd\r\nContent-Length: 0\r\n\r\n'));
  });
  const gate = await openGate(t, { upstream: `http://127.0.0.1:${await listen(t, server)}` });
  t.match(await call(gate, '/'), { status: 502, headers: { 'x-tollgate-error': 'TG_UPSTREAM_UNREACHABLE' } });
  t.equal(await gate.settled(), 0);
});

t.test('an interim answer is not the answer', async (t) => {
  const server = createServer((socket) => {
    socket.once('data', () =>
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n'),
    );
  });
  const gate = await openGate(t, { upstream: `http://127.0.0.1:${await listen(t, server)}` });
  t.equal((await call(gate, '/')).status, 404);
  t.equal(await gate.settled(), 0);
});

t.test('an upstream that dies mid-body costs nothing, and the caller sees the answer cut', async (t) => {
  const framings = { length: { 'Content-Length': '100' }, chunked: {} };
  for (const [name, headers] of Object.entries(framings)) {
    const answered = promised<ServerResponse>();
    const gate = await openGate(t, {
      upstream: (_request, response) => {
        response.writeHead(200, headers).write('some of it');
        answered.resolve(response);
      },
    });
    const wire = new Wire(t, gate.port).send(...get);
    t.match(await wire.waitFor('some of it'), 'x-credits-cost: 1');
    (await answered.promise).destroy();
    const received = await wire.waitForClose();
    t.notMatch(received, /\r\n0\r\n\r\n$/, `${name}: not ended as if it were whole`);
    t.equal(await gate.settled(), 0, name);
  }
});

t.test('an upstream that stalls mid-body is given up after the read time-out and costs nothing', async (t) => {
  const gate = await openGate(t, {
    upstreamOptions: { readTimeout: 100 },
    upstream: (_request, response) => response.writeHead(200).write('some of it'),
  });
  const wire = new Wire(t, gate.port).send(...get);
  await wire.waitFor('some of it');
  await wire.waitForClose();
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

t.test('an upstream that answers before the body is whole is heard, and the call ends like any other', async (t) => {
  const gate = await openGate(t, { upstream: (_request, response) => response.writeHead(413).end('too large') });
  const wire = new Wire(t, gate.port).send('POST / HTTP/1.1', ...head, 'Content-Length: 100', '', 'some of it');
  t.match(await wire.waitFor('too large'), 'HTTP/1.1 413 ');
  t.equal(await gate.settled(), 0);
});

t.test('an upstream that refuses, or resets before its header, is a 502 that names no address', async (t) => {
  const server = createServer((socket) => socket.once('data', () => socket.destroy()));
  const resetting = await listen(t, server);
  const closed = createServer();
  const refusing = await listen(t, closed);
  await new Promise((resolve) => closed.close(resolve));
  for (const port of [refusing, resetting]) {
    const gate = await openGate(t, { upstream: `http://127.0.0.1:${port}` });
    for (const options of [{}, { method: 'POST', body: 'x'.repeat(200_000) }] as const) {
      const answer = await call(gate, '/', options);
      t.equal(answer.status, 502);
      t.equal(answer.body, '{"error":"The upstream could not be reached. Nothing was charged."}');
      t.notMatch(JSON.stringify(answer), String(port));
      t.match(answer.headers, { 'x-credits-cost': '0', 'x-credits-remaining': '100', 'cache-control': 'no-store' });
    }
    t.equal(await gate.settled(), 0);
  }
});

t.test('a body that no upstream takes is read to its end, so that the connection serves the next call', async (t) => {
  const gate = await openGate(t, { upstream: `http://${'x'.repeat(64)}.invalid` });
  const body = 'x'.repeat(3_000_000);
  const wire = new Wire(t, gate.port).send('POST / HTTP/1.1', ...head, `Content-Length: ${body.length}`, '', body);
  wire.send(...get);
  await until(
    () => wire.received.split('HTTP/1.1 502 ').length - 1,
    (answers) => answers === 2,
  );
  t.equal(await gate.settled(), 0);
});

t.test('an upstream whose name cannot be resolved is a 502', async (t) => {
  const gate = await openGate(t, { upstream: `http://${'x'.repeat(64)}.invalid` });
  t.equal((await call(gate, '/')).status, 502);
  t.equal(await gate.settled(), 0);
});

t.test('an upstream that does not answer in time is a 504', async (t) => {
  const gate = await openGate(t, { upstreamOptions: { responseHeaderTimeout: 100 }, upstream: () => {} });
  t.match(await call(gate, '/'), { status: 504, headers: { 'x-tollgate-error': 'TG_UPSTREAM_TIMEOUT' } });
  t.equal(await gate.settled(), 0);
});

t.test('an upstream that dies after its header and before its body leaves nothing of that header', async (t) => {
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\n\r\n');
      socket.end();
    });
  });
  const gate = await openGate(t, { upstream: `http://127.0.0.1:${await listen(t, server)}` });
  const wire = new Wire(t, gate.port).send('GET / HTTP/1.1', ...head, 'Connection: close', '', '');
  const received = await wire.waitForClose();
  if (received.startsWith('HTTP/1.1 502 ')) {
    t.notMatch(received, /gzip|set-cookie|content-length: 9\r/i);
    t.match(received, 'x-credits-cost: 0');
  } else {
    t.match(received, /^HTTP\/1.1 200 .*\r\n\r\n$/s, 'or the header was out already, and the body is missing');
  }
  t.equal(await gate.settled(), 0);
});

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

t.test('an answer that the gateway fails to pass on is a 500 and costs nothing', async (t) => {
  const gate = await openGate(t, {
    upstream: (_request, response) => response.writeHead(200, { 'Content-Encoding': 'br' }).end('x'.repeat(1_000_000)),
    prepare: (app) =>
      app.addHook('onSend', async (_request, reply) => {
        if (reply.statusCode === 200) throw new Error('broken hook');
      }),
  });
  const answer = await call(gate, '/');
  t.match(answer, { status: 500, headers: { 'x-tollgate-error': 'TG_INTERNAL', 'x-credits-cost': '0' } });
  t.notOk('content-encoding' in answer.headers);
  t.equal(await gate.settled(), 0);
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

t.test('when the server closes, calls still waiting for a status are given up and cost nothing', async (t) => {
  const asked = promised<void>();
  const gate = await openGate(t, {
    upstreamOptions: { responseHeaderTimeout: 60_000 },
    upstream: () => asked.resolve(),
  });
  const wire = new Wire(t, gate.port).send(...get);
  await asked.promise;
  wire.leave();
  await wire.waitForClose();
  await gate.close();
  t.equal(await gate.settled(), 0);
});
