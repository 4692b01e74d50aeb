// The straight path of a call, over real sockets.

import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import t from 'tap';
import { until } from '../helpers/until.ts';
import { bodyOf, call, listen, openGate, Wire } from './gate.ts';
import { sampleRoute } from './sample-routes.ts';

t.test('a call that succeeds goes through whole and costs its credits', async (t) => {
  const seen: string[] = [];
  const gate = await openGate(t, {
    routes: [sampleRoute('/v1', { cost: 3, rewritePrefix: '/v2' })],
    upstream: async (request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers['x-tollgate-user']} ${await bodyOf(request)}`);
      response.writeHead(201, 'Made', { 'Content-Type': 'text/x', 'Set-Cookie': ['a=1', 'b=2'] }).end('answer');
    },
  });
  const answer = await call(gate, '/v1/a%2Fb//c;d?q=%20&q', { method: 'POST', body: 'question' });
  t.strictSame(seen, ['POST /v2/a%2Fb//c;d?q=%20&q u question']);
  t.equal(answer.status, 201);
  t.equal(answer.body, 'answer');
  t.match(answer.headers, { 'content-type': 'text/x', 'set-cookie': ['a=1', 'b=2'] });
  t.match(answer.headers, { 'x-credits-cost': '3', 'x-credits-remaining': '97', 'cache-control': 'private' });
  t.equal(await gate.settled(), 1);
  t.match(gate.charges, [{ user: 'u', cost: 3, route: '/v1', status: 201, requestId: answer.headers['x-request-id'] }]);
});

t.test('credits run out at exactly zero, and the refused call does not reach the upstream', async (t) => {
  let calls = 0;
  const gate = await openGate(t, {
    credits: 2,
    upstream: (_request, response) => {
      calls += 1;
      response.end();
    },
  });
  t.equal((await call(gate, '/')).headers['x-credits-remaining'], '1');
  t.equal((await call(gate, '/')).headers['x-credits-remaining'], '0');
  const refused = await call(gate, '/');
  t.equal(refused.status, 402);
  t.equal(
    refused.body,
    '{"error":"Insufficient credits. Please contact support to add more credits to your account."}',
  );
  t.match(refused.headers, {
    'x-tollgate-error': 'TG_CREDITS_INSUFFICIENT',
    'x-credits-required': '1',
    'x-credits-cost': '0',
    'x-credits-remaining': '0',
    'cache-control': 'no-store',
    link: '<https://pay.example/>; rel="payment"',
  });
  t.equal(calls, 2);
});

t.test('of 500 calls at once with 120 credits exactly 120 reach the upstream', async (t) => {
  let calls = 0;
  const gate = await openGate(t, {
    credits: 120,
    upstream: (_request, response) => {
      calls += 1;
      response.end();
    },
  });
  const answers = await Promise.all(Array.from({ length: 500 }, () => call(gate, '/')));
  t.equal(calls, 120);
  t.equal(answers.filter(({ status }) => status === 200).length, 120);
  t.equal(answers.filter(({ status }) => status === 402).length, 380);
  t.equal(await gate.settled(), 120);
});

t.test('every method gets through, with or without a body', async (t) => {
  const gate = await openGate(t, {
    upstream: async (request, response) => {
      response.setHeader('x-seen', `${request.method} ${await bodyOf(request)}`);
      response.end();
    },
  });
  const plain = ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE', 'PROPFIND', 'M-SEARCH', 'PURGE', 'POST'];
  for (const method of plain) {
    const wire = new Wire(t, gate.port).send(`${method} /x HTTP/1.1`, 'Host: h', 'X-Api-Key: tg_u', '', '');
    t.match(await wire.waitFor('\r\n\r\n'), `\r\nx-seen: ${method} \r\n`, method);
  }
  for (const method of ['GET', 'HEAD', 'DELETE', 'PROPFIND', 'OPTIONS', 'PUT']) {
    const head = [`${method} /x HTTP/1.1`, 'Host: h', 'X-Api-Key: tg_u'];
    const sized = new Wire(t, gate.port).send(...head, 'Content-Length: 4', '', 'body');
    t.match(await sized.waitFor('\r\n\r\n'), `\r\nx-seen: ${method} body\r\n`, `${method} with a length`);
    const chunked = new Wire(t, gate.port).send(...head, 'Transfer-Encoding: chunked', '', '4', 'body', '0', '', '');
    t.match(await chunked.waitFor('\r\n\r\n'), `\r\nx-seen: ${method} body\r\n`, `${method} in chunks`);
  }
});

t.test('bodies are not read, whatever their type and size', async (t) => {
  const gate = await openGate(t, {
    upstream: async (request, response) => {
      const body = await bodyOf(request);
      response.end(`${request.headers['content-type']} ${body.length} ${body.slice(0, 5)}`);
    },
  });
  const text = 'x'.repeat(3_000_000);
  t.equal(
    (await call(gate, '/', { method: 'POST', body: text, headers: { 'content-type': 'text/plain' } })).body,
    'text/plain 3000000 xxxxx',
  );
  for (const type of ['application/json', 'no type at all', 'a/b;', '', 'multipart/form-data']) {
    const answer = await call(gate, '/', { method: 'POST', body: '{bad}', headers: { 'content-type': type } });
    t.equal(answer.body, `${type} 5 {bad}`, type);
  }
});

t.test('a large answer arrives whole', async (t) => {
  const large = Buffer.alloc(5_000_000, 'y');
  const gate = await openGate(t, { upstream: (_request, response) => response.end(large) });
  t.equal((await call(gate, '/')).body.length, large.length);
  t.equal(await gate.settled(), 1);
});

t.test('the bytes of fields travel as they are, both ways', async (t) => {
  let heard = '';
  const server = createServer((socket) => {
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      heard += text;
      if (!heard.includes('\r\n\r\n')) return;
      socket.end(
        'HTTP/1.1 200 OK\r\nX-Name: caf\xc3\xa9 \xe9\r\nX-Many: 1\r\nx-many: 2\r\nTrailer: x\r\nContent-Length: 2\r\n' +
          'Content-Disposition: attachment; filename="caf\xc3\xa9 \xe9"\r\n\r\nok',
        'latin1',
      );
    });
  });
  const gate = await openGate(t, { upstream: `http://127.0.0.1:${await listen(t, server)}` });
  const wire = new Wire(t, gate.port);
  wire.send(
    'GET /caf%C3%A9?a=%zz|"{} HTTP/1.1',
    'Host: h',
    'X-Api-Key: tg_u',
    'X-Twice: 1',
    'x-twice: \xc3\xa9',
    '',
    '',
  );
  const received = await wire.waitFor('\r\n\r\nok');
  t.match(received, '\r\nX-Name: caf\xc3\xa9 \xe9\r\n');
  t.match(received, '\r\nX-Many: 1\r\nx-many: 2\r\n');
  t.match(received, '\r\nContent-Disposition: attachment; filename="caf\xc3\xa9 \xe9"\r\n');
  t.notMatch(received.toLowerCase(), 'trailer');
  t.ok(heard.startsWith('GET /caf%C3%A9?a=%zz|"{} HTTP/1.1\r\n'));
  t.match(heard, '\r\nX-Twice: 1\r\nx-twice: \xc3\xa9\r\n');
  t.notMatch(heard, 'tg_u');
});

t.test('a path goes on as sent, also where it is no UTF-8 once decoded', async (t) => {
  const seen: (string | undefined)[] = [];
  const gate = await openGate(t, {
    upstream: (request, response) => {
      seen.push(request.url);
      response.end();
    },
  });
  const paths = ['/caf%E9', '/%ff%FE/x?%E9', '/_tollgates/%E9', `/${'x'.repeat(1000)}`];
  for (const path of paths) t.equal((await call(gate, path)).status, 200, path);
  t.strictSame(seen, paths);
});

t.test('an answer to HEAD keeps its length, and a Trailer field does no harm', async (t) => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nTrailer: x\r\n\r\n'));
  });
  const gate = await openGate(t, { upstream: `http://127.0.0.1:${await listen(t, server)}` });
  t.match(await call(gate, '/', { method: 'HEAD' }), { status: 200, headers: { 'content-length': '1234' }, body: '' });
  t.equal(await gate.settled(), 1);
});

t.test('the header of an answer goes ahead of a body that takes its time', async (t) => {
  let finish = () => {};
  const gate = await openGate(t, {
    upstream: (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
      finish = () => response.end('data: x\n\n');
    },
  });
  const wire = new Wire(t, gate.port).send('GET / HTTP/1.1', 'Host: h', 'X-Api-Key: tg_u', '', '');
  t.match(await wire.waitFor('\r\n\r\n'), 'text/event-stream');
  finish();
  await wire.waitFor('data: x');
  t.equal(await gate.settled(), 1);
});

t.test('free and public calls are charged nothing, and only private ones need a caller', async (t) => {
  const seen: IncomingMessage[] = [];
  const gate = await openGate(t, {
    routes: [sampleRoute('/free', { cost: 0 }), sampleRoute('/public', { auth: 'none', cost: 0 })],
    upstream: (request, response) => {
      seen.push(request);
      response.end('ok');
    },
  });
  const free = await call(gate, '/free');
  const open = await call(gate, '/public');
  t.match([free.status, open.status], [200, 200]);
  t.notOk('x-credits-cost' in free.headers || 'x-credits-cost' in open.headers);
  t.equal(free.headers['cache-control'], 'private');
  t.notOk('cache-control' in open.headers || 'vary' in open.headers);
  t.equal(seen[0]?.headers['x-tollgate-user'], 'u');
  t.notOk('x-tollgate-user' in (seen[1]?.headers ?? {}));
  t.equal(await gate.settled(), 0);
});

t.test('an upstream that answers 503 is asked once', async (t) => {
  let calls = 0;
  const gate = await openGate(t, {
    upstream: (_request, response) => {
      calls += 1;
      response.writeHead(503, { 'Retry-After': '0' }).end();
    },
  });
  t.equal((await call(gate, '/')).status, 503);
  t.equal(calls, 1);
});

t.test('the connection of a caller serves one call after another', async (t) => {
  const gate = await openGate(t, { upstream: (request, response) => response.end(request.url) });
  const wire = new Wire(t, gate.port);
  for (const path of ['/a', '/b', '/c']) {
    wire.send(`GET ${path} HTTP/1.1`, 'Host: h', 'X-Api-Key: tg_u', '', '');
    await until(
      () => wire.received.includes(path),
      (arrived) => arrived,
    );
  }
  t.equal(await gate.settled(), 3);
});

t.test('paths without a route are refused with a code, and nothing is forwarded', async (t) => {
  const server = createHttpServer(() => t.fail('forwarded'));
  const gate = await openGate(t, {
    upstream: `http://127.0.0.1:${await listen(t, server)}`,
    routes: [sampleRoute('/read', { methods: ['GET'] })],
  });
  const refusals: Record<string, [string, string]> = {
    'GET /elsewhere': ['404', 'TG_ROUTE_NOT_FOUND'],
    'GET /_tollgate/nothing': ['404', 'TG_ROUTE_NOT_FOUND'],
    'POST /read': ['405', 'TG_METHOD_NOT_ALLOWED'],
    'GET /read/../x': ['400', 'TG_PATH_AMBIGUOUS'],
    'GET /read/%zz': ['400', 'TG_REQUEST_MALFORMED'],
    'OPTIONS *': ['400', 'TG_REQUEST_MALFORMED'],
    'GET http://user@elsewhere/read': ['400', 'TG_REQUEST_MALFORMED'],
    'GET http:///read': ['400', 'TG_REQUEST_MALFORMED'],
    [`GET /read?${'x'.repeat(16_384)}`]: ['414', 'TG_URL_TOO_LONG'],
  };
  for (const [line, [status, code]] of Object.entries(refusals)) {
    const wire = new Wire(t, gate.port).send(
      `${line} HTTP/1.1`,
      'Host: h',
      'X-Api-Key: tg_u',
      'Connection: close',
      '',
      '',
    );
    const received = await wire.waitForClose();
    t.match(received, `HTTP/1.1 ${status} `, line);
    t.match(received, `x-tollgate-error: ${code}\r\n`, line);
    t.equal(/\r\nallow: (.*)\r\n/.exec(received)?.[1], line.startsWith('POST') ? 'GET, HEAD' : undefined, line);
  }
});
