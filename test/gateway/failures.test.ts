// What upstreams do wrong, over real sockets: what the caller sees of it, that it costs nothing, and that no hold stays
// open (`gate.settled()` waits for that).

import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import t from 'tap';
import { until } from '../helpers/until.ts';
import { call, listen, openGate, promised, Wire } from './gate.ts';
import { sampleRoute } from './sample-routes.ts';

const head = ['Host: h', 'X-Api-Key: tg_u'];
const get = ['GET / HTTP/1.1', ...head, '', ''];

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
    t.match(await wire.waitFor('some of it'), 'X-Credits-Cost: 1');
    (await answered.promise).destroy();
    const received = await wire.waitForClose();
    t.notMatch(received, /\r\n0\r\n\r\n$/, `${name}: not ended as if it were whole`);
    t.equal(await gate.settled(), 0, name);
  }
});

t.test('an upstream that stalls mid-body is given up after the read time-out and costs nothing', async (t) => {
  const gate = await openGate(t, {
    routes: [sampleRoute('/', { readTimeout: 100 })],
    upstream: (_request, response) => response.writeHead(200).write('some of it'),
  });
  const wire = new Wire(t, gate.port).send(...get);
  await wire.waitFor('some of it');
  await wire.waitForClose();
  t.equal(await gate.settled(), 0);
});

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
