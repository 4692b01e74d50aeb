import t, { type Test } from 'tap';
import type { Config, OpenIdProvider } from '../../../src/config/config.ts';
import { CookieJar } from '../../helpers/cookie-jar.ts';
import { GitHubProvider } from '../../helpers/github-provider.ts';
import { OddProvider } from '../../helpers/odd-provider.ts';
import { type SignInGateway, sessionOf, signIn, startSignInGateway } from '../../helpers/sign-in-gateways.ts';
import { failed, refusalOf, startOddGateway, unavailable } from './attempts.ts';

t.test('GitHub says who somebody is, and their primary address', async (t) => {
  const { github, gate } = await startGitHub(t);
  t.match(await personAfterSignIn(gate, 'github'), {
    name: 'Ann Example',
    email: 'ann@example.com',
    picture: 'https://avatars.example/u/4711',
  });
  const [asked] = github.authorizations;
  t.equal(asked?.get('code_challenge_method'), 'S256');
  t.match(asked?.get('code_challenge'), /^[\w-]{43}$/);
  t.equal(asked?.get('scope'), 'read:user user:email');
  t.same(await identitiesIn(gate), [{ issuer: `${github.url}/user`, subject: '4711' }]);
});

t.test('at GitHub the client says who it is in the form', async (t) => {
  const { github, gate } = await startGitHub(t, { clientSecret: 'not the one that was given' });
  t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'github')), failed);
  t.match(
    gate.log.find(({ level }) => level === 'warn'),
    { why: 'no token: incorrect_client_credentials' },
  );
  t.same(github.tokenAuthorizations, [undefined]);
});

t.test('an address at GitHub counts if it is the primary one, and verified', async (t) => {
  const { github, gate } = await startGitHub(t);
  const address = { email: 'ann@b.example', primary: true, verified: true, visibility: null };
  const other = { ...address, email: 'other@b.example', primary: false };
  for (const [id, emails] of [[{ ...address, verified: false }, other], [other], []].entries()) {
    github.person = { ...github.person, id, email: 'public@b.example' };
    github.emails = emails;
    t.match(await personAfterSignIn(gate, 'github'), { email: null });
  }
  github.emails = [other, address];
  github.person = { ...github.person, id: 10, name: null };
  t.match(await personAfterSignIn(gate, 'github'), { email: 'ann@b.example', name: 'ann' }, 'without a name too');
});

t.test('while GitHub is down nobody signs in, and then they do', async (t) => {
  const { github, gate } = await startGitHub(t);
  const jar = new CookieJar();
  github.isDown = true;
  const begun = await jar.fetch(`${gate.url}/_tollgate/auth/login/github`);
  t.equal(begun.status, 302, 'nobody has to be asked for the way there');
  github.isDown = false;
  const back = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' });
  github.isDown = true;
  t.same(await refusalOf(await jar.visit(back.headers.get('location') ?? '')), unavailable);
  github.isDown = false;
  t.match(await personAfterSignIn(gate, 'github'), { email: 'ann@example.com' });
});

t.test('a provider without OpenID is read by the names that its document has', async (t) => {
  const odd = await OddProvider.start(t);
  const gate = await startSignInGateway(t, 'sqlite', {
    providers: `forge: {
      clientId: ${odd.clientId}, clientSecret: "${odd.clientSecret}", scope: [read_user, "profile:read"],
      authorizationUrl: "${odd.issuer}/authorize", tokenUrl: "${odd.issuer}/token", userinfoUrl: "${odd.issuer}/userinfo",
      map: { subject: data.user.id, email: data.user.mail, emailVerified: data.user.confirmed, name: data.user.names.full, picture: data.avatar } }`,
  });
  const user = { id: 42, mail: 'Ann@b.example', confirmed: true, names: { full: 'Ann B.' } };
  odd.userinfo = { data: { user, avatar: 'https://b.example/a.png' } };
  t.match(await personAfterSignIn(gate, 'forge'), {
    name: 'Ann B.',
    email: 'Ann@b.example',
    picture: 'https://b.example/a.png',
  });
  t.same(await identitiesIn(gate), [{ issuer: `${odd.issuer}/userinfo`, subject: '42' }]);
  const [asked] = odd.authorizations;
  t.match(Object.fromEntries(asked ?? []), { scope: 'read_user profile:read', response_type: 'code' });
  t.equal(asked?.get('nonce'), null);
  t.match(odd.tokenRequests[0]?.authorization, /^Basic /);
  odd.userinfo = { data: { user: { ...user, id: 43, mail: 'other@b.example', confirmed: 'yes' } } };
  t.match(await personAfterSignIn(gate, 'forge'), { email: null });
  for (const id of [undefined, null, '', 1.5, 2 ** 60, true, { a: 1 }]) {
    odd.userinfo = { data: { user: { ...user, id } } };
    t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'forge')), failed, String(id));
  }
});

t.test('Microsoft’s tenants are issuers of their own, and each names itself alone', async (t) => {
  const { odd, gate, tenant } = await startMicrosoft(t, 'common');
  const email = 'ann@contoso.example';
  odd.claims = { ...tenant(1), email, xms_edov: true };
  t.match(await personAfterSignIn(gate, 'microsoft'), { email });
  t.match(await identitiesIn(gate), [{ issuer: tenant(1).iss, subject: 'ann' }]);
  const others = [
    { ...tenant(1), tid: tenant(2).tid },
    { ...tenant(1), tid: undefined },
    { ...tenant(1), tid: '{tenantid}', iss: tenant(1).iss.replace(tenant(1).tid, '{tenantid}') },
    { ...tenant(1), tid: '..', iss: tenant(1).iss.replace(tenant(1).tid, '..') },
    { ...tenant(1), iss: `https://evil.example/${tenant(1).tid}/v2.0` },
  ];
  for (const claims of others) {
    odd.claims = claims;
    t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'microsoft')), failed, JSON.stringify(claims));
  }
});

t.test('with many tenants an address counts if Microsoft has seen that the domain is the tenant’s', async (t) => {
  const { odd, gate, tenant } = await startMicrosoft(t, 'common');
  for (const [i, word] of [true, '1', 1, 'true', false, '0', 0, undefined, 'yes', null].entries()) {
    const email = `ann-${i}@contoso.example`;
    odd.claims = { ...tenant(i), email, xms_edov: word, email_verified: true };
    odd.userinfo = { sub: 'ann', email: undefined, xms_edov: true };
    t.match(await personAfterSignIn(gate, 'microsoft'), { email: i < 4 ? email : null }, JSON.stringify(word));
  }
});

t.test('a tenant that is named vouches for its people', async (t) => {
  const { odd, gate, tenant } = await startMicrosoft(t, 'contoso.onmicrosoft.com');
  odd.discovery = { ...odd.discovery, issuer: tenant(1).iss };
  odd.claims = { ...tenant(1), email: 'ann@contoso.example' };
  t.match(await personAfterSignIn(gate, 'microsoft'), { email: 'ann@contoso.example' });
  odd.claims = { ...tenant(2), email: 'ann@contoso.example' };
  t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'microsoft')), failed, 'and another does not');
});

t.test('the client says who it is in the form where a provider takes nothing else', async (t) => {
  const { odd, gate } = await startOddGateway(t);
  odd.discovery = { token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'] };
  t.match(await personAfterSignIn(gate, 'odd'), { email: 'ann@example.com' });
  const [{ form, authorization } = { form: new URLSearchParams(), authorization: '' }] = odd.tokenRequests;
  t.equal(authorization, undefined);
  t.same([form.get('client_id'), form.get('client_secret')], [odd.clientId, odd.clientSecret]);
});

t.test('what an OpenID provider has in the queries of its addresses stays there', async (t) => {
  const { odd, gate } = await startOddGateway(t);
  const asked: (string | undefined)[] = [];
  odd.discovery = {
    authorization_endpoint: `${odd.issuer}/authorize?p=sign%20in`,
    token_endpoint: `${odd.issuer}/token?p=sign-in`,
  };
  odd.answers.set('/token', ({ url }, response) => {
    asked.push(url);
    response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_grant"}');
  });
  t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'odd')), failed);
  t.equal(odd.authorizations[0]?.get('p'), 'sign in');
  t.same(asked, ['/realm/token?p=sign-in']);
});

/** GitHub's own addresses are in no file: this stands in for them as an Enterprise Server would. */
async function startGitHub(t: Test, changes: { readonly clientSecret?: string } = {}) {
  const github = await GitHubProvider.start(t);
  const gate = await startSignInGateway(t, 'sqlite', {
    providers: `github: {
      clientId: ${github.clientId}, clientSecret: "${changes.clientSecret ?? github.clientSecret}",
      authorizationUrl: "${github.url}/login/oauth/authorize",
      tokenUrl: "${github.url}/login/oauth/access_token",
      userinfoUrl: "${github.url}/user" }`,
  });
  github.allowRedirect(gate.redirectUri('github'));
  return { github, gate };
}

/** Microsoft with its issuer where the odd provider is, which says what Microsoft's document does. */
async function startMicrosoft(t: Test, tenantName: string) {
  const odd = await OddProvider.start(t);
  const { origin } = new URL(odd.issuer);
  odd.discovery = {
    issuer: `${origin}/{tenantid}/v2.0`,
    authorization_response_iss_parameter_supported: undefined,
  };
  odd.redirect = { iss: undefined };
  const adjust = (config: Config): Config => {
    const { signIn } = config.auth;
    if (signIn === null) return config;
    const providers = signIn.providers.map((each) => ({ ...(each as OpenIdProvider), issuer: odd.issuer }));
    return { ...config, auth: { ...config.auth, signIn: { ...signIn, providers } } };
  };
  const settings = `clientId: ${odd.clientId}, clientSecret: "${odd.clientSecret}"`;
  const providers = `microsoft: { tenant: ${tenantName}, ${settings} }`;
  const tenant = (number: number) => {
    const tid = `11111111-2222-3333-4444-${String(number).padStart(12, '0')}`;
    return { tid, iss: `${origin}/${tid}/v2.0` };
  };
  return { odd, gate: await startSignInGateway(t, 'sqlite', { providers, adjust }), tenant };
}

async function personAfterSignIn(gate: SignInGateway, provider: string): Promise<unknown> {
  const jar = new CookieJar();
  await signIn(jar, gate.url, provider);
  const session = await sessionOf(jar, gate.url);
  if (typeof session === 'number') throw new Error(`not signed in: ${session}`);
  return session['user'];
}

function identitiesIn({ test }: SignInGateway) {
  return test.database.db.selectFrom('identities').select(['issuer', 'subject']).orderBy('subject').execute();
}
