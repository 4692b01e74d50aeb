// What the places that browsers see mean for calls, through whole gateways and over real sockets.

import type { RequestListener } from 'node:http';
import t, { type Test } from 'tap';
import { type Settings, startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { Wire } from '../helpers/wire.ts';
import { signInSettings } from './sign-in-settings.ts';

const routes = `  - { path: /, upstream: api, auth: none }
  - { path: /keyed, upstream: api, cost: 3 }
  - { path: /v1, upstream: api, auth: none, rewritePrefix: /v2 }`;

const apart = 'publicUrl: "https://api.example.com", portalUrl: "https://account.example.com"';

interface Site extends TestGateway {
  /** Sends lines of a request's header on a connection of its own. */
  send(...lines: string[]): Wire;
}

async function openSite(t: Test, settings: Settings = {}, answer?: RequestListener): Promise<Site> {
  const gate = await startTestGateway(t, 'sqlite', routes, answer, settings);
  const port = Number(new URL(gate.gateway.address).port);
  const send = (...lines: string[]) => {
    const wire = Wire.to(port).send(...lines, '', '');
    t.teardown(() => wire.leave());
    return wire;
  };
  return { ...gate, send };
}

/** The lines of an answer, or of several, that hold a field of this name. */
const linesOf = (received: string, name: string) =>
  received.split('\r\n').filter((line) => line.toLowerCase().startsWith(`${name}:`));

t.test("the gateway's cookies reach no upstream, those of others do byte for byte, sign-in or not", async (t) => {
  const echo: RequestListener = (request, response) => {
    response.end(JSON.stringify(request.rawHeaders.filter((_, i, all) => /^cookie$/i.test(all[i - (i % 2)] ?? ''))));
  };
  for (const settings of [{}, signInSettings]) {
    const site = await openSite(t, settings, echo);
    const cookiesOf = async (...lines: string[]) =>
      JSON.parse((await site.send('GET / HTTP/1.1', 'Host: gate.example', ...lines).answer()).body);
    t.same(await cookiesOf('Cookie: b=2;  a="1" ;c; =d'), ['Cookie', 'b=2;  a="1" ;c; =d']);
    t.same(await cookiesOf('cookie: b=2;  __Host-tollgate_session=x; a="1" ;c'), ['cookie', 'b=2; a="1" ;c']);
    t.same(
      await cookiesOf(
        'Cookie: Tollgate_Session=x; b=2',
        'COOKIE: a=1;=tollgate_state_google=y',
        'Cookie: tollgate_x=1',
      ),
      ['Cookie', 'b=2', 'COOKIE', 'a=1'],
      'over several lines',
    );
    t.same(await cookiesOf('Cookie: tollgate_session=x; __Secure-TOLLGATE_session=y'), []);
  }
});

t.test('an upstream plants no cookie of the gateway: not early, not in its answer, not behind it', async (t) => {
  const own = [
    ...[
      'tollgate_session=x',
      '__Host-tollgate_session=x; Path=/; Secure',
      '__SECURE-tollgate_session=x',
      'TollGate_a=x',
    ],
    ...['=tollgate_session=x', 'tollgate_session', ' \ttollgate_session=x', 'tollgate_session\t=x', '\xa0tollgate_a=x'],
  ];
  const others = ['b=2; Path=/tollgate_', 'a="tollgate_session=x"; HttpOnly', '__Host-c=\xe9'];
  const lines = [...own, ...others].map((cookie) => `Set-Cookie: ${cookie}\r\n`).join('');
  const site = await openSite(t, {}, ({ socket }) => {
    socket.write(`HTTP/1.1 103 Early Hints\r\n${lines}\r\n`, 'latin1');
    socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n${lines}\r\n`, 'latin1');
    socket.write(`2\r\nok\r\n0\r\n${lines}\r\n`, 'latin1');
  });
  const wire = site.send('GET / HTTP/1.1', 'Host: gate.example', 'TE: trailers', 'Connection: close, TE');
  const received = await wire.waitForClose();
  t.match(received, /^HTTP\/1.1 103 /);
  t.match(received, /\r\n2\r\nok\r\n0\r\n/);
  const expected = others.map((cookie) => `Set-Cookie: ${cookie}`);
  t.same(linesOf(received, 'set-cookie'), [...expected, ...expected, ...expected]);
});

t.test('an upstream that accepts an upgrade plants no cookie of the gateway with it', async (t) => {
  const site = await openSite(t);
  site.upstream.server.on('upgrade', (_request, socket) => {
    t.teardown(() => socket.destroy());
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n');
    socket.write('Set-Cookie: tollgate_session=x\r\nSet-Cookie: a=1\r\n\r\n');
  });
  const wire = site.send('GET / HTTP/1.1', 'Host: gate.example', 'Connection: Upgrade', 'Upgrade: websocket');
  const received = await wire.waitFor('\r\n\r\n');
  t.match(received, /^HTTP\/1.1 101 /);
  t.same(linesOf(received, 'set-cookie'), ['Set-Cookie: a=1']);
});

t.test('redirects lead back through a proxy that takes a prefix away', async (t) => {
  const redirect: RequestListener = ({ url = '' }, response) => {
    const to = decodeURIComponent(url.slice(url.indexOf('?') + 1)).replace('UPSTREAM', site.upstream.url);
    response.writeHead(302, { Location: to, 'Content-Location': to }).end();
  };
  const site = await openSite(t, { server: 'publicUrl: "https://api.example.com/gw/"' }, redirect);
  const locationOf = async (to: string, path = '/') => {
    const { headers } = await site.call(null, `${path}?${encodeURIComponent(to)}`);
    t.equal(headers.get('content-location'), headers.get('location'));
    return headers.get('location');
  };
  t.equal(await locationOf('/a?b'), '/gw/a?b');
  t.equal(await locationOf('UPSTREAM/a'), '/gw/a');
  t.equal(await locationOf('/v2/a', '/v1'), '/gw/v1/a');
  t.equal(await locationOf('/elsewhere', '/v1'), '/elsewhere', 'no route leads there');
  t.equal(await locationOf('a'), 'a');
  t.equal(await locationOf('https://elsewhere.example/a'), 'https://elsewhere.example/a');
});

t.test('the host of the portal has no upstreams, in no spelling of it, and the others have', async (t) => {
  const site = await openSite(t, { server: apart });
  const key = await site.newKey('u', 10);
  const spellings = ['account.example.com', 'ACCOUNT.Example.com', 'account.example.com:443', 'account.example.com.'];
  // A proxy in front may name the port that it listens on.
  for (const host of [...spellings, 'account.example.com:8080']) {
    for (const path of ['/', '/keyed', '/v1/a']) {
      const answer = await site.send(`GET ${path} HTTP/1.1`, `Host: ${host}`, `X-Api-Key: ${key}`).answer();
      t.match(answer, { status: 404 }, host);
      t.ok(answer.lines.includes('x-tollgate-error: TG_ROUTE_NOT_FOUND'));
    }
  }
  t.match(await site.send('GET http://account.example.com/ HTTP/1.1', 'Host: api.example.com').answer(), {
    status: 404,
  });
  t.same(site.upstream.seen, []);
  for (const host of ['api.example.com', 'account.example.com.evil.example', '127.0.0.1', '']) {
    t.match(await site.send('GET / HTTP/1.1', `Host: ${host}`).answer(), { status: 200 }, host);
  }
  t.match(await site.send('GET / HTTP/1.0').answer(), { status: 200 }, 'without a host');
});

t.test("the gateway's own paths stay on both hosts", async (t) => {
  const site = await openSite(t, { server: apart });
  const key = await site.newKey('u', 10);
  for (const host of ['account.example.com', 'api.example.com']) {
    const lines = ['GET /_tollgate/api/credits HTTP/1.1', `Host: ${host}`, `X-Api-Key: ${key}`];
    t.match(await site.send(...lines).answer(), { status: 200, body: /"credits":10/ }, host);
  }
});

t.test('neither an upgrade nor a preflight finds an upstream on the host of the portal', async (t) => {
  const site = await openSite(t, { server: apart });
  site.upstream.server.on('upgrade', () => t.fail('the upstream was asked'));
  const host = 'Host: account.example.com';
  const upgrade = site.send('GET / HTTP/1.1', host, 'Connection: Upgrade', 'Upgrade: websocket');
  t.match(await upgrade.answer(), { status: 404 });
  const asking = ['Origin: https://app.example', 'Access-Control-Request-Method: GET'];
  t.match(await site.send('OPTIONS / HTTP/1.1', host, ...asking).answer(), { status: 404 });
  t.same(site.upstream.seen, []);
});

t.test('which host a browser has named is taken from trusted proxies alone', async (t) => {
  const statusOf = async (site: Site, ...lines: string[]) =>
    (await site.send('GET / HTTP/1.1', ...lines).answer()).status;
  const inside = 'Host: 10.0.0.1:8080';
  const trusting = await openSite(t, { server: `${apart}, trustedProxies: [127.0.0.1]` });
  t.equal(await statusOf(trusting, inside, 'X-Forwarded-Host: account.example.com'), 404);
  t.equal(await statusOf(trusting, inside, 'X-Forwarded-Host: forged.example, Account.example.com:443'), 404);
  t.equal(await statusOf(trusting, inside, 'X-Forwarded-Host: api.example.com'), 200);
  t.equal(await statusOf(trusting, 'Host: account.example.com'), 404, 'a proxy that leaves the host as it is');
  const wary = await openSite(t, { server: apart });
  t.equal(await statusOf(wary, inside, 'X-Forwarded-Host: account.example.com'), 200);
  t.equal(await statusOf(wary, 'Host: account.example.com', 'X-Forwarded-Host: api.example.com'), 404);
});

t.test('hosts that differ by their port alone are told apart by it', async (t) => {
  const urls = 'publicUrl: "https://127.0.0.1:8443", portalUrl: "https://127.0.0.1"';
  const site = await openSite(t, { server: urls });
  const statusOf = async (host: string) => (await site.send('GET / HTTP/1.1', `Host: ${host}`).answer()).status;
  t.equal(await statusOf('127.0.0.1:8443'), 200);
  t.equal(await statusOf('127.0.0.1:443'), 404);
  t.equal(await statusOf('127.0.0.1'), 404);
});

t.test('a portal beside the upstreams takes none of them away', async (t) => {
  for (const portal of ['', ', portalUrl: "https://api.example.com/gw"']) {
    const site = await openSite(t, { server: `publicUrl: "https://api.example.com/gw"${portal}` });
    t.match(await site.send('GET / HTTP/1.1', 'Host: api.example.com').answer(), { status: 200 }, portal);
  }
});

t.test('where people sign in beside upstreams, no route serves a service worker, and nothing is held', async (t) => {
  const site = await openSite(t, signInSettings);
  const key = await site.newKey('u', 10);
  const headers = { 'Service-Worker': 'script' };
  for (const path of ['/worker.js', '/keyed/worker.js']) {
    const answer = await site.call(key, path, { headers });
    t.equal(answer.status, 403);
    t.equal(answer.headers.get('x-tollgate-error'), 'TG_SERVICE_WORKER_REFUSED');
    t.notOk(answer.headers.has('x-credits-cost'));
  }
  t.same(site.upstream.seen, []);
  t.equal((await site.call(key, '/_tollgate/api/credits', { headers })).status, 200);
  t.equal((await site.call(key, '/keyed/worker.js')).status, 200, 'a script that is none');
});

t.test('what would widen or revive a service worker does not come through where people sign in', async (t) => {
  const answer: RequestListener = ({ socket }) => {
    const field = 'Service-Worker-Allowed: /';
    socket.write(`HTTP/1.1 103 Early Hints\r\n${field}\r\nLink: </a>\r\n\r\n`);
    socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n${field}\r\n\r\n`);
    socket.write(`0\r\n${field}\r\n\r\n`);
  };
  const ask = async (settings: Settings) => {
    const site = await openSite(t, settings, answer);
    const wire = site.send('GET / HTTP/1.1', 'Host: gate.example', 'TE: trailers', 'Connection: close, TE');
    return wire.waitForClose();
  };
  const shared = await ask(signInSettings);
  t.match(shared, /^HTTP\/1.1 103 .*\r\nLink/);
  t.same(linesOf(shared, 'service-worker-allowed'), []);
  t.same(linesOf(shared, 'vary'), ['Vary: service-worker'], 'a script kept by a cache is not taken for a worker');
  const alone = await ask({});
  t.equal(linesOf(alone, 'service-worker-allowed').length, 3, 'without sign-in it does');
  t.same(linesOf(alone, 'vary'), []);
});

t.test('service workers are served where nobody signs in, and where sign-in has a host of its own', async (t) => {
  const headers = { 'Service-Worker': 'script' };
  for (const settings of [{}, { ...signInSettings, server: apart }]) {
    const site = await openSite(t, settings);
    t.equal((await site.call(null, '/worker.js', { headers })).status, 200);
    t.match(site.upstream.seen, [{ headers: { 'service-worker': 'script' } }]);
  }
});
