import t from 'tap';
import { CookieJar } from '../../helpers/cookie-jar.ts';
import { OddProvider } from '../../helpers/odd-provider.ts';
import { sessionOf, signIn, startSignInGateway } from '../../helpers/sign-in-gateways.ts';
import { oddYaml, refusalOf, startOddGateway, unavailable } from './attempts.ts';

t.test('a gateway starts and serves keys while the provider is down, and people sign in once it is up', async (t) => {
  const odd = await OddProvider.start(t);
  odd.isDown = true;
  const gate = await startSignInGateway(t, 'sqlite', { providers: oddYaml('odd', odd) });
  t.equal((await gate.call(await gate.newKey('u', 100))).status, 200);
  t.same(odd.asked, [], 'it is asked when somebody signs in');
  const jar = new CookieJar();
  const visited = await signIn(jar, gate.url, 'odd');
  t.same(await refusalOf(visited), unavailable);
  t.equal(visited.response.headers.get('retry-after'), '1');
  t.match(
    gate.log.filter(({ level }) => level === 'warn'),
    [{ provider: 'odd' }],
  );
  odd.isDown = false;
  await signIn(jar, gate.url, 'odd');
  t.match(await sessionOf(jar, gate.url), { user: { email: 'ann@example.com' } });
});

t.test('a document that names another issuer, or lacks what a sign-in needs, is no document', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  const documents = [
    { issuer: 'https://evil.example' },
    { issuer: `${odd.issuer}/` },
    { issuer: undefined },
    { authorization_endpoint: undefined },
    { authorization_endpoint: 'javascript:alert(1)' },
    { token_endpoint: 'ftp://127.0.0.1/' },
    { token_endpoint: 7 },
    { userinfo_endpoint: 'file:///etc/passwd' },
  ];
  for (const [i, document] of documents.entries()) {
    odd.discovery = document;
    t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'odd')), unavailable, JSON.stringify(document));
    t.match(gate.log.filter(({ level }) => level === 'warn').slice(i), [
      { provider: 'odd', why: /discovery document/ },
    ]);
  }
  t.same(odd.authorizations, []);
});

t.test('a provider that is down afterwards changes nothing on the way there', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  await signIn(new CookieJar(), gate.url, 'odd');
  odd.isDown = true;
  const { status } = await new CookieJar().fetch(`${gate.url}/_tollgate/auth/login/odd`);
  t.equal(status, 302, 'what it said an hour ago is good');
});
