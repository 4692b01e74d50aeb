import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import { CookieJar } from '../../helpers/cookie-jar.ts';
import { dialects } from '../../helpers/databases.ts';
import { noteCredential } from '../../helpers/evidence.ts';
import { audience, startIdentityProvider } from '../../helpers/identity-provider.ts';
import { signedWith, signedWithPublicKey, signedWithSecret, unsigned } from '../../helpers/odd-provider.ts';
import { providerYaml, sessionOf, signIn, startSignInGateway } from '../../helpers/sign-in-gateways.ts';
import { newKey } from '../../helpers/token-issuer.ts';
import { userWith } from '../../helpers/users.ts';
import { failed, locationOf, type OddGateway, refusalOf, startOddGateway, unavailable } from './attempts.ts';

const now = () => Math.floor(Date.now() / 1000);

t.test('an ID token that is not for this sign-in signs nobody in', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  const forged: Record<string, Record<string, unknown>> = {
    'another issuer': { iss: 'https://evil.example' },
    'an issuer with a slash more': { iss: `${odd.issuer}/` },
    'no issuer': { iss: undefined },
    'another audience': { aud: 'another-client' },
    'no audience': { aud: undefined },
    'no nonce': { nonce: undefined },
    'another nonce': { nonce: 'another' },
    'an end in the past': { exp: now() - 60 },
    'no end': { exp: undefined },
    'made long ago': { iat: now() - 3_600 },
    'made at no time': { iat: undefined },
    'issued to another client': { azp: 'another-client' },
    'shared with others': { aud: [odd.clientId, 'another-client'] },
    'no subject': { sub: undefined },
    'an empty subject': { sub: '' },
    'a subject that is no text': { sub: 7 },
    'a subject without end': { sub: 'x'.repeat(256) },
    'a subject with a NUL': { sub: 'ann\0' },
  };
  for (const [name, claims] of Object.entries(forged)) {
    odd.claims = claims;
    await assertNobody(t, { gate, odd }, name);
  }
  t.same(await usersOf(gate), []);
});

t.test('an ID token that the provider has not signed signs nobody in', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  const forged = {
    'alg: none': unsigned,
    'HS256 with the public key': signedWithPublicKey(odd.key),
    'HS256 with the secret of the client': signedWithSecret(odd.clientSecret),
    'a key of its own by the right name': signedWith(await newKey('first')),
    'no token': async () => undefined,
    'an empty one': async () => '',
    'no JWT': async () => 'a.b.c',
    'no text': async () => ({ alg: 'none' }),
  };
  for (const [name, makeIdToken] of Object.entries(forged)) {
    odd.makeIdToken = makeIdToken;
    await assertNobody(t, { gate, odd }, name);
  }
  t.same(await usersOf(gate), []);
});

t.test('a key that the provider does not show may be a new one: that is for the provider to say', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  odd.makeIdToken = signedWith(await newKey('second'));
  t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'odd')), failed, 'it was asked, and has none');
  t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'odd')), unavailable, 'it is not asked all the time');
});

t.test('userinfo about somebody else signs nobody in', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  for (const sub of ['eve', undefined, '', ['ann']]) {
    odd.userinfo = { sub };
    await assertNobody(t, { gate, odd }, String(sub));
  }
  t.same(await usersOf(gate), []);
});

for (const dialect of dialects) {
  t.test(`${dialect}: an address that the provider does not vouch for claims nobody, and is not kept`, async (t) => {
    const { gate, odd } = await startOddGateway(t, { dialect });
    const victim = await userWith(gate.test.database.db, 900, 'Victim@b.example');
    for (const [sub, email_verified] of Object.entries({ a: false, b: undefined, c: 'true', d: 1 })) {
      odd.claims = { sub };
      odd.userinfo = { sub, email: 'victim@b.example', email_verified };
      const jar = new CookieJar();
      await signIn(jar, gate.url, 'odd');
      const session = (await sessionOf(jar, gate.url)) as { user: { id: string } };
      t.match(session, { user: { email: null, credits: 5000 } }, String(email_verified));
      t.not(session.user.id, victim.id);
    }
    odd.claims = { sub: 'victim' };
    odd.userinfo = { sub: 'victim', email: 'victim@b.example', email_verified: true };
    const jar = new CookieJar();
    await signIn(jar, gate.url, 'odd');
    t.match(await sessionOf(jar, gate.url), { user: { id: victim.id, credits: 900 } }, 'the victim claims it');
  });
}

t.test(
  'a word of the ID token on its address says nothing about the one of the userinfo, nor the other way',
  async (t) => {
    const { gate, odd } = await startOddGateway(t);
    odd.claims = { email_verified: true };
    odd.userinfo = { email: 'victim@b.example', email_verified: false };
    t.equal(await addressAfterSignIn({ gate, odd }), null);
    odd.claims = { email: 'victim@b.example', email_verified: undefined };
    odd.userinfo = { email: 'ann@example.com', email_verified: true };
    t.equal(await addressAfterSignIn({ gate, odd }), null);
  },
);

t.test('an address that the provider does not vouch for lets nobody in, and makes no operator', async (t) => {
  const allow = '{ emails: [ann@example.com], emailDomains: [b.example] }';
  const { gate, odd } = await startOddGateway(t, { allow, auth: 'admins: ["odd:ops@c.example"]' });
  for (const email of ['ann@example.com', 'eve@b.example', 'ops@c.example']) {
    odd.userinfo = { email, email_verified: false };
    const [status, code] = await refusalOf(await signIn(new CookieJar(), gate.url, 'odd'));
    t.same([status, code], [403, 'TG_SIGN_IN_NOT_ALLOWED'], email);
  }
  t.same(await usersOf(gate), []);
  odd.userinfo = { email: 'ops@c.example' };
  t.equal(await addressAfterSignIn({ gate, odd }), 'ops@c.example');
});

t.test('trustEmail takes the word of a provider that vouches for no address by itself', async (t) => {
  const settings = { allow: '{ emailDomains: [example.com] }', ofProvider: 'trustEmail: true' };
  const { odd, gate } = await startOddGateway(t, settings);
  odd.userinfo = { email_verified: false };
  t.equal(await addressAfterSignIn({ gate, odd }), 'ann@example.com');
});

t.test('an ID token is no key to the API, with a nonce or without', async (t) => {
  const provider = await startIdentityProvider(t);
  const gate = await startSignInGateway(t, 'sqlite', {
    providers: providerYaml('idp', provider),
    auth: `bearer: [{ issuer: "${provider.issuer}", audience: ["${audience}"] }]`,
    // No file may say so: it is an error there. This is what stands behind that.
    adjust: ({ auth, ...config }) => {
      const bearer = auth.bearer.map((each) => ({ ...each, audience: [...each.audience, provider.clientId] }));
      return { ...config, auth: { ...auth, bearer } };
    },
  });
  const redirectUri = 'https://client.example/back';
  provider.allowRedirect(redirectUri);
  t.equal((await gate.call(await provider.accessToken())).status, 200);
  for (const nonce of ['a nonce', null]) {
    const token = await idTokenOf(provider, redirectUri, nonce);
    const { status, headers } = await gate.call(token);
    t.same([status, headers.get('x-tollgate-error')], [401, 'TG_AUTH_INVALID'], String(nonce));
  }
  t.equal(gate.upstream.seen.length, 1);
});

/** The sign-in that is begun now ends like every other that is not to be trusted. */
async function assertNobody(t: Test, { gate }: OddGateway, name: string): Promise<void> {
  const jar = new CookieJar();
  t.same(await refusalOf(await signIn(jar, gate.url, 'odd')), failed, name);
  t.equal(await sessionOf(jar, gate.url), 401, name);
}

async function addressAfterSignIn({ gate }: OddGateway): Promise<unknown> {
  const jar = new CookieJar();
  await signIn(jar, gate.url, 'odd');
  const session = await sessionOf(jar, gate.url);
  if (typeof session === 'number') throw new Error(`not signed in: ${session}`);
  return (session as { user: { email: unknown } }).user.email;
}

function usersOf({ test }: OddGateway['gate']) {
  return test.database.db.selectFrom('users').selectAll().execute();
}

type Provider = Awaited<ReturnType<typeof startIdentityProvider>>;

/** As another program gets it that signs people in as the same client. */
async function idTokenOf(provider: Provider, redirectUri: string, nonce: string | null): Promise<string> {
  const { issuer, clientId, secret } = provider;
  const verifier = noteCredential('v'.repeat(43));
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const query = new URLSearchParams({
    ...{ client_id: clientId, response_type: 'code', scope: 'openid', redirect_uri: redirectUri, state: 's' },
    ...{ code_challenge: challenge, code_challenge_method: 'S256' },
    ...(nonce !== null && { nonce }),
  });
  const jar = new CookieJar();
  let location = `${issuer}/auth?${query}`;
  while (!location.startsWith(redirectUri)) location = locationAfter(location, await jar.fetch(location));
  const code = new URL(location).searchParams.get('code') ?? '';
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${clientId}:${encodeURIComponent(secret)}`)}` },
    body: new URLSearchParams({
      ...{ grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier },
    }),
  });
  const { id_token: token } = (await answer.json()) as { id_token?: string };
  if (token === undefined) throw new Error(`no ID token: ${answer.status}`);
  return noteCredential(token);
}

function locationAfter(url: string, answer: Response): string {
  return new URL(locationOf(answer), url).href;
}
