import t from 'tap';
import { CookieJar } from '../../helpers/cookie-jar.ts';
import { dialects } from '../../helpers/databases.ts';
import { startIdentityProvider } from '../../helpers/identity-provider.ts';
import { providerYaml, sessionOf, signIn, startSignInGateway } from '../../helpers/sign-in-gateways.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: somebody signs in, has 5000 credits, and spends them from a page of the origin`, async (t) => {
    const provider = await startIdentityProvider(t);
    provider.people.set('ann', {
      name: 'Ann',
      email: 'ann@b.example',
      email_verified: true,
      picture: 'https://b.example/p',
    });
    const gate = await startSignInGateway(t, dialect, { providers: providerYaml('idp', provider) });
    provider.allowRedirect(gate.redirectUri('idp'));
    const jar = new CookieJar();
    t.equal(await sessionOf(jar, gate.url), 401);
    const { url } = await signIn(jar, gate.url, 'idp', '/things?a=b');
    t.equal(url, `${gate.url}/things?a=b`);
    const session = await sessionOf(jar, gate.url);
    t.match(session, {
      user: {
        id: String,
        email: 'ann@b.example',
        name: 'Ann',
        picture: 'https://b.example/p',
        plan: 'Basic',
        credits: 5000,
      },
      expiresAt: /Z$/,
    });
    const answer = await jar.fetch(`${gate.url}/things`);
    t.equal(answer.status, 200);
    t.equal(answer.headers.get('x-credits-remaining'), '4993');
    t.match(await sessionOf(jar, gate.url), { user: { credits: 4993 } });
    const seen = gate.upstream.seen.at(-1)?.headers ?? {};
    t.equal(seen['x-tollgate-user'], (session as { user: { id: string } }).user.id);
    await gate.gateway.close();
    const entries = await gate.test.database.db
      .selectFrom('ledger')
      .select(['kind', 'amount', 'actor'])
      .orderBy('id')
      .execute();
    t.match(entries, [
      { kind: 'signup', amount: 5000, actor: 'sign-in:idp' },
      { kind: 'charge', amount: -7 },
    ]);
  });
}

t.test('who has not said where to go lands on the first page of the portal', async (t) => {
  const provider = await startIdentityProvider(t);
  const gate = await startSignInGateway(t, 'sqlite', { providers: providerYaml('idp', provider) });
  provider.allowRedirect(gate.redirectUri('idp'));
  const jar = new CookieJar();
  const { response, url } = await signIn(jar, gate.url, 'idp');
  t.equal(url, `${gate.url}/_tollgate/`);
  t.match(await response.text(), /ann@example\.com.*<h1>Overview<\/h1>/s, 'though a page of the provider led there');
});

t.test('a page of another origin reads nothing with the session of whoever looks at it', async (t) => {
  const provider = await startIdentityProvider(t);
  const gate = await startSignInGateway(t, 'sqlite', { providers: providerYaml('idp', provider) });
  provider.allowRedirect(gate.redirectUri('idp'));
  const jar = new CookieJar();
  await signIn(jar, gate.url, 'idp');
  for (const site of ['cross-site', 'same-site']) {
    for (const [mode, dest] of [
      ['cors', 'empty'],
      ['no-cors', 'script'],
      ['no-cors', 'image'],
      ['navigate', 'iframe'],
      ['navigate', 'object'],
    ] as const) {
      const headers = { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest };
      const { response } = await jar.visit(`${gate.url}/_tollgate/api/session`, { headers });
      t.equal(response.status, 401, `${site} ${mode} ${dest}`);
    }
  }
});
