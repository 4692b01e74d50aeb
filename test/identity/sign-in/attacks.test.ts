import t, { type Test } from 'tap';
import { CookieJar } from '../../helpers/cookie-jar.ts';
import { dialects } from '../../helpers/databases.ts';
import { OddProvider } from '../../helpers/odd-provider.ts';
import { sessionOf, signIn, startSignInGateway } from '../../helpers/sign-in-gateways.ts';
import { beginSignIn, failed, oddYaml, refusalOf, startOddGateway } from './attempts.ts';

const sessionCookie = 'tollgate_session';

t.test('nobody is sent anywhere but to the portal', async (t) => {
  const { gate } = await startOddGateway(t);
  const { url } = gate;
  const { host, port } = new URL(url);
  const elsewhere = [
    ...[
      '//evil.example',
      '/\\evil.example',
      '\\\\evil.example',
      '/\t/evil.example',
      '/\n/evil.example',
      '\t//evil.example',
    ],
    ...[' //evil.example', 'https://evil.example', 'https:evil.example', 'javascript:alert(1)', 'data:text/html,x'],
    ...[
      `http://${host}@evil.example/`,
      `http://127.0.0.1:${port}1/`,
      `https://${host}/`,
      `${url}.evil.example/`,
      `//${host}/`,
    ],
    ...[
      url,
      '',
      'things',
      '?a',
      `${url}//evil.example`,
      `${url}/\\evil.example`,
      `/${'a'.repeat(600)}`,
      '/\u0000',
      '/é',
    ],
  ];
  for (const returnTo of elsewhere) {
    const { response } = await signIn(new CookieJar(), url, 'odd', returnTo);
    t.equal(response.headers.get('x-tollgate-error'), 'TG_INPUT_INVALID', JSON.stringify(returnTo));
    t.notOk(response.headers.get('location'));
  }
  const here = {
    '/%0d%0aSet-Cookie:%20a=b': '/%0d%0aSet-Cookie:%20a=b',
    '/%2f%2fevil.example': '/%2f%2fevil.example',
    '/.//evil.example': '//evil.example',
    '/@evil.example': '/@evil.example',
    '/things?a=b#c': '/things?a=b#c',
    [`${url}/things`]: '/things',
  };
  for (const [returnTo, path] of Object.entries(here)) {
    const { hops, url: end } = await signIn(new CookieJar(), url, 'odd', returnTo);
    const callback = hops.find((hop) => hop.url.includes('/callback/'));
    t.equal(new URL(callback?.location ?? '').origin, url, returnTo);
    t.equal(end, url + path, returnTo);
  }
});

t.test('an answer in a browser that began nothing signs nobody in', async (t) => {
  const { gate } = await startOddGateway(t);
  const attackers = await beginSignIn(new CookieJar(), gate.url, 'odd');
  const victim = new CookieJar();
  t.same(await refusalOf(await victim.visit(attackers)), failed);
  t.equal(await sessionOf(victim, gate.url), 401);
});

t.test('an answer in a browser that began another sign-in signs nobody in', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  const attackers = await beginSignIn(new CookieJar(), gate.url, 'odd');
  const victim = new CookieJar();
  await beginSignIn(victim, gate.url, 'odd');
  t.same(await refusalOf(await victim.visit(attackers)), failed);
  t.equal(await sessionOf(victim, gate.url), 401);
  t.same(odd.tokenRequests, [], 'the code is not even tried');
});

for (const dialect of dialects) {
  t.test(`${dialect}: a planted session is not taken over, and ends`, async (t) => {
    const { gate, odd } = await startOddGateway(t, { dialect });
    odd.claims = { sub: 'mallory' };
    odd.userinfo = { sub: 'mallory', email: undefined };
    const attacker = new CookieJar();
    await signIn(attacker, gate.url, 'odd');
    const planted = attacker.cookiesFor(gate.url)[sessionCookie] ?? '';
    [odd.claims, odd.userinfo] = [{}, {}];
    const victim = new CookieJar();
    victim.set(gate.url, `${sessionCookie}=${planted}; Path=/; HttpOnly`);
    await signIn(victim, gate.url, 'odd');
    t.not(victim.cookiesFor(gate.url)[sessionCookie], planted);
    t.match(await sessionOf(victim, gate.url), { user: { email: 'ann@example.com' } });
    t.equal(await sessionOf(attacker, gate.url), 401);
  });
}

t.test('a made-up session is not taken over', async (t) => {
  const { gate } = await startOddGateway(t);
  for (const planted of ['A'.repeat(43), 'short', '']) {
    const jar = new CookieJar();
    jar.set(gate.url, `${sessionCookie}=${planted}; Path=/`);
    await signIn(jar, gate.url, 'odd');
    t.not(jar.cookiesFor(gate.url)[sessionCookie], planted);
    t.match(await sessionOf(jar, gate.url), { user: { email: 'ann@example.com' } });
    const other = new CookieJar();
    other.set(gate.url, `${sessionCookie}=${planted}; Path=/`);
    t.equal(await sessionOf(other, gate.url), 401);
  }
});

t.test('sign-ins with two providers in two tabs both come to their end', async (t) => {
  const { gate } = await startTwo(t);
  const jar = new CookieJar();
  const one = await beginSignIn(jar, gate.url, 'one', '/one');
  const two = await beginSignIn(jar, gate.url, 'two', '/two');
  t.equal((await jar.visit(one)).url, `${gate.url}/one`);
  t.equal((await jar.visit(two)).url, `${gate.url}/two`);
});

t.test('the answer of one provider is worth nothing at the address of another', async (t) => {
  const { gate, one, two } = await startTwo(t);
  const jar = new CookieJar();
  const answer = new URL(await beginSignIn(jar, gate.url, 'one'));
  const moved = (to: string) => Object.assign(new URL(answer), { pathname: `/_tollgate/auth/callback/${to}` });
  t.same(await refusalOf(await jar.visit(moved('two').href)), failed, 'nothing was begun there');
  await beginSignIn(jar, gate.url, 'two');
  const withoutIssuer = moved('two');
  withoutIssuer.searchParams.set('iss', two.issuer);
  t.same(await refusalOf(await jar.visit(withoutIssuer.href)), failed, 'another sign-in was begun there');
  t.same([...one.tokenRequests, ...two.tokenRequests], [], 'the code goes to neither');
});

t.test('an answer that names another issuer is refused, and one that names none where it should', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  for (const iss of ['https://evil.example', `${odd.issuer}/`, '', undefined]) {
    odd.redirect = { iss };
    t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'odd')), failed, String(iss));
  }
  t.same(odd.tokenRequests, [], 'the code is not even tried');
});

t.test('a provider that does not say that it names itself need not, and may not name another', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  odd.discovery = { authorization_response_iss_parameter_supported: undefined };
  odd.redirect = { iss: 'https://evil.example' };
  t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'odd')), failed);
  odd.redirect = { iss: undefined };
  t.equal((await signIn(new CookieJar(), gate.url, 'odd', '/')).response.status, 401, 'a page without a credential');
  const jar = new CookieJar();
  await signIn(jar, gate.url, 'odd');
  t.match(await sessionOf(jar, gate.url), { user: { email: 'ann@example.com' } });
});

t.test('an answer counts once, also for whoever has kept the cookies', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  const jar = new CookieJar();
  const callback = await beginSignIn(jar, gate.url, 'odd');
  const kept = jar.cookiesFor(callback);
  t.equal((await jar.visit(callback)).response.status, 200);
  t.same(await refusalOf(await jar.visit(callback)), failed, 'the cookies are gone');
  const again = new CookieJar();
  for (const [name, value] of Object.entries(kept)) again.set(callback, `${name}=${value}; Path=/; HttpOnly`);
  t.same(await refusalOf(await again.visit(callback)), failed);
  t.equal(odd.tokenRequests.length, 1, 'though the provider would have answered');
});

t.test('an answer without a code, or with an empty one, is refused', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  for (const code of [undefined, '']) {
    odd.redirect = { code };
    t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'odd')), failed, String(code));
  }
  t.same(odd.tokenRequests, [], 'and the provider is not asked');
});

t.test('somebody who changes their mind at the provider is told so, and nothing of the sign-in is left', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  odd.redirect = { code: undefined, error: 'access_denied' };
  const jar = new CookieJar();
  const visited = await signIn(jar, gate.url, 'odd');
  t.match(visited.hops[0]?.setCookies.length, 2, 'there were cookies');
  t.same(await refusalOf(visited), failed);
  t.same(jar.cookiesFor(`${gate.url}/_tollgate/auth/callback/odd`), {});
  t.match(
    gate.log.filter(({ level }) => level === 'warn'),
    [{ provider: 'odd', why: 'the provider said access_denied' }],
  );
});

t.test('a provider that nobody has configured is not found, whatever it is called', async (t) => {
  const { gate } = await startOddGateway(t);
  for (const name of ['other', 'ODD', '__proto__', 'constructor', 'a'.repeat(4_000)]) {
    for (const path of ['login', 'callback']) {
      const { status, headers } = await new CookieJar().fetch(`${gate.url}/_tollgate/auth/${path}/${name}`);
      t.same([status, headers.get('x-tollgate-error')], [404, 'TG_ROUTE_NOT_FOUND'], `${path} ${name.slice(0, 20)}`);
    }
  }
});

t.test('parameters that are too long, or come twice, reach nobody', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  const jar = new CookieJar();
  const callback = await beginSignIn(jar, gate.url, 'odd');
  for (const name of ['code', 'state', 'iss', 'error']) {
    const long = new URL(callback);
    long.searchParams.set(name, 'x'.repeat(8_193));
    const { status, headers } = await jar.fetch(long.href);
    t.same([status, headers.get('x-tollgate-error')], [400, 'TG_INPUT_INVALID'], name);
    const twice = await jar.fetch(`${callback}&${name}=a&${name}=b`);
    t.same([twice.status, twice.headers.get('x-tollgate-error')], [400, 'TG_INPUT_INVALID'], `two of ${name}`);
  }
  t.same(odd.tokenRequests, []);
});

t.test('what a client writes into the fields of the gateway does not reach the upstream with a session', async (t) => {
  const { gate } = await startOddGateway(t);
  const jar = new CookieJar();
  await signIn(jar, gate.url, 'odd');
  const session = await sessionOf(jar, gate.url);
  const headers = { 'X-Tollgate-User': 'admin', x_tollgate_user: 'admin', 'x-tollgate_user': 'admin' };
  t.equal((await jar.fetch(`${gate.url}/things`, { headers })).status, 200);
  const seen = gate.upstream.seen.at(-1)?.headers ?? {};
  t.match(session, { user: { id: seen['x-tollgate-user'] } });
  t.notMatch(JSON.stringify(seen), 'admin');
});

async function startTwo(t: Test) {
  const [one, two] = [await OddProvider.start(t), await OddProvider.start(t)];
  const providers = `${oddYaml('one', one)}, ${oddYaml('two', two)}`;
  return { one, two, gate: await startSignInGateway(t, 'sqlite', { providers }) };
}
