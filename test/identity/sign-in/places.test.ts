import { createServer, type IncomingMessage, type ServerResponse, request as sendRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { CookieJar, type Visited } from '../../helpers/cookie-jar.ts';
import { OddProvider } from '../../helpers/odd-provider.ts';
import { sessionOf, signIn, startSignInGateway } from '../../helpers/sign-in-gateways.ts';
import { oddYaml, startOddGateway } from './attempts.ts';

t.test('behind a path and TLS a sign-in stays where browsers are', async (t) => {
  const { odd, gate, url, host } = await startBehindProxy(t, 'https', '/gw');
  t.equal(url, `https://${host}/gw`);
  const jar = new CookieJar({ pretendTls: true });
  const { hops, url: end, response } = await signIn(jar, url, 'odd');
  t.equal(odd.authorizations[0]?.get('redirect_uri'), `${url}/_tollgate/auth/callback/odd`);
  t.equal(odd.tokenRequests[0]?.form.get('redirect_uri'), `${url}/_tollgate/auth/callback/odd`);
  t.equal(end, `${url}/_tollgate/`);
  t.match(await response.text(), /ann@example\.com/);
  const cookies = hops.flatMap(({ setCookies }) => setCookies);
  t.ok(cookies.length >= 5);
  for (const cookie of cookies) {
    t.match(cookie, /^__Host-tollgate_(?:session|state_odd|verifier_odd)=/);
    t.match(cookie, /; Path=\/(?:;|$)/);
    t.match(cookie, /; Secure(?:;|$)/);
    t.match(cookie, /; HttpOnly(?:;|$)/);
    t.match(cookie, /; SameSite=Lax(?:;|$)/);
  }
  t.same(Object.keys(jar.cookiesFor(`${url}/`)), ['__Host-tollgate_session'], 'the others are gone');
  t.equal((await jar.fetch(`${url}/things`)).status, 200);
  t.equal(gate.upstream.seen.at(-1)?.url, '/things');
  t.equal((await signIn(jar, url, 'odd', '/gw/things?a=b')).url, `${url}/things?a=b`);
  t.equal((await signIn(jar, url, 'odd', `${url}/things`)).url, `${url}/things`);
  t.equal((await jar.fetch(`${url}/_tollgate/auth/logout`, { method: 'POST' })).status, 204);
  t.same(jar.cookiesFor(`${url}/`), {});
});

t.test('where there is TLS, a cookie without the prefix is no session', async (t) => {
  const { url } = await startBehindProxy(t, 'https', '');
  const jar = new CookieJar({ pretendTls: true });
  await signIn(jar, url, 'odd');
  const { '__Host-tollgate_session': session = '' } = jar.cookiesFor(url);
  const other = new CookieJar({ pretendTls: true });
  other.set(url, `tollgate_session=${session}; Path=/`);
  t.equal(await sessionOf(other, url), 401);
  other.set(url, `__Host-tollgate_session=${session}; Path=/; Secure`);
  t.match(await sessionOf(other, url), { user: { email: 'ann@example.com' } });
});

t.test('behind a path without TLS the cookies are for that path', async (t) => {
  const { url, host } = await startBehindProxy(t, 'http', '/gw');
  const jar = new CookieJar();
  const { hops, url: end } = await signIn(jar, url, 'odd');
  t.equal(end, `${url}/_tollgate/`);
  for (const cookie of hops.flatMap(({ setCookies }) => setCookies)) {
    t.match(cookie, /; Path=\/gw(?:;|$)/);
    t.notMatch(cookie, /; Secure/);
  }
  t.same(Object.keys(jar.cookiesFor(`${url}/`)), ['tollgate_session']);
  t.same(jar.cookiesFor(`http://${host}/other`), {}, 'what else is on the host does not get them');
});

t.test('a sign-in that begins at the public host goes on at the portal’s', async (t) => {
  const { odd, gate } = await startOddGateway(t, { portalUrl: 'http://localhost:PORT' });
  const portal = gate.url.replace('127.0.0.1', 'localhost');
  const jar = new CookieJar();
  const { hops, url: end } = await signIn(jar, gate.url, 'odd', '/things?a=b&c=d');
  t.equal(hops[0]?.location, `${portal}/_tollgate/auth/login/odd?led=1&returnTo=%2Fthings%3Fa%3Db%26c%3Dd`);
  t.same(hops[0]?.setCookies, []);
  t.equal(odd.authorizations[0]?.get('redirect_uri'), `${portal}/_tollgate/auth/callback/odd`);
  t.equal(end, `${portal}/things?a=b&c=d`);
  t.same(jar.cookiesFor(gate.url), {});
  t.match(await sessionOf(jar, portal), { user: { email: 'ann@example.com' } });
  t.equal(await sessionOf(jar, gate.url), 401);
  const { hops: direct } = await signIn(new CookieJar(), gate.url, 'odd');
  t.equal(direct[0]?.location, `${portal}/_tollgate/auth/login/odd?led=1`);
  t.equal(direct.at(-1)?.url, `${portal}/_tollgate/`);
});

t.test('a way back to the public host is none where the portal has a host of its own', async (t) => {
  const { gate } = await startOddGateway(t, { portalUrl: 'http://localhost:PORT' });
  const { response } = await signIn(new CookieJar(), gate.url, 'odd', `${gate.url}/things`);
  t.equal(response.headers.get('x-tollgate-error'), 'TG_INPUT_INVALID');
});

t.test('a proxy that names the public host whatever was asked leads nobody in circles', async (t) => {
  const odd = await OddProvider.start(t);
  const gate = await startSignInGateway(t, 'sqlite', {
    providers: oddYaml('odd', odd),
    portalUrl: 'http://localhost:PORT',
  });
  const { host } = new URL(gate.url);
  const jar = new CookieJar();
  const portal = gate.url.replace('127.0.0.1', 'localhost');
  const visited = await visitAs(jar, portal, host);
  t.equal(visited.url, `${portal}/_tollgate/`);
  t.ok(visited.hops.length < 7, String(visited.hops.length));
  t.match(await sessionOf(jar, portal), { user: { email: 'ann@example.com' } });
});

t.test('a proxy that names a host of its own leads to the portal once, wherever a sign-in begins', async (t) => {
  const odd = await OddProvider.start(t);
  const gate = await startSignInGateway(t, 'sqlite', {
    providers: oddYaml('odd', odd),
    portalUrl: 'http://localhost:PORT',
  });
  const portal = gate.url.replace('127.0.0.1', 'localhost');
  for (const [begun, host] of [
    [portal, 'internal:8080'],
    [gate.url, 'internal:8080'],
    [gate.url, '127.0.0.1'],
    [gate.url, '127.0.0.1:443'],
  ] as const) {
    const { url } = await visitAs(new CookieJar(), begun, host);
    t.equal(url, `${portal}/_tollgate/`, `${begun} as ${host}`);
  }
});

/** A sign-in whose every request to a gateway names this host. */
function visitAs(jar: CookieJar, url: string, host: string): Promise<Visited> {
  return jar.visit(`${url}/_tollgate/auth/login/odd`, { headers: { host } });
}

/** A gateway at `scheme://127.0.0.1:PORT/path`, where a proxy ends TLS and takes the path away. */
async function startBehindProxy(t: Test, scheme: 'http' | 'https', path: string) {
  let target = '';
  const server = createServer((request, response) => {
    if (!`${request.url}/`.startsWith(`${path}/`)) return void response.writeHead(404).end();
    const url = (request.url ?? '').slice(path.length) || '/';
    const headers = { ...request.headers, 'x-forwarded-proto': scheme, 'x-forwarded-host': request.headers.host ?? '' };
    forward(request, response, target, { url, headers: { ...headers, host: 'gateway.internal' } });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const url = `${scheme}://${host}${path}`;
  const { odd, gate } = await startOddGateway(t, { publicUrl: url, server: 'trustedProxies: [127.0.0.1]' });
  target = gate.gateway.address;
  return { odd, gate, url, host };
}

interface Forwarded {
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
  { url, headers }: Forwarded,
): void {
  const { method = 'GET' } = request;
  const onward = sendRequest(target + url, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}
