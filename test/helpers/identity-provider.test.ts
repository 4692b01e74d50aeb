import { createHash, randomBytes } from 'node:crypto';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import t from 'tap';
import { CookieJar } from './cookie-jar.ts';
import { type IdentityProvider, startIdentityProvider } from './identity-provider.ts';
import { startUpstream } from './upstreams.ts';

t.test('whoever is signed in comes back with a code, and userinfo tells what the ID token does not', async (t) => {
  const [provider, site] = [await startIdentityProvider(t), await startUpstream(t)];
  const redirectUri = `${site.url}/callback`;
  const jar = new CookieJar();
  t.equal((await authorize(jar, provider, redirectUri)).response.status, 400, 'not before the address is allowed');
  provider.allowRedirect(redirectUri);
  provider.people.set('bob', { name: 'Bob', email: 'bob@b.example', email_verified: false });
  for (const subject of ['ann', 'bob', 'ann']) {
    provider.signedInAs = subject;
    const { url, verifier } = await authorize(jar, provider, redirectUri);
    const answer = new URL(url).searchParams;
    t.match([answer.get('state'), answer.get('iss')], ['s', provider.issuer]);
    const token = await redeem(provider, redirectUri, answer.get('code') ?? '', verifier);
    const keys = createRemoteJWKSet(new URL(`${provider.issuer}/jwks`));
    const audience = provider.clientId;
    const { payload } = await jwtVerify(token.id_token, keys, { issuer: provider.issuer, audience });
    t.match(payload, { sub: subject, nonce: 'n' });
    t.notOk('email' in payload || 'name' in payload);
    const headers = { authorization: `Bearer ${token.access_token}` };
    const userinfo = await (await fetch(`${provider.issuer}/me`, { headers })).json();
    t.same(userinfo, { sub: subject, ...provider.people.get(subject) });
  }
});

t.test('without a challenge, or with another verifier, nobody signs in', async (t) => {
  const site = await startUpstream(t);
  const redirectUri = `${site.url}/callback`;
  const provider = await startIdentityProvider(t, { redirectUris: [redirectUri] });
  const jar = new CookieJar();
  const refused = await authorize(jar, provider, redirectUri, { code_challenge: '', code_challenge_method: '' });
  t.equal(new URL(refused.url).searchParams.get('error'), 'invalid_request');
  const { url } = await authorize(jar, provider, redirectUri);
  const code = new URL(url).searchParams.get('code') ?? '';
  t.match(await redeem(provider, redirectUri, code, 'x'.repeat(43)), { error: 'invalid_grant' });
});

t.test('an interactive one shows its people, and signs in the one who is chosen', async (t) => {
  const site = await startUpstream(t);
  const redirectUri = `${site.url}/callback`;
  const provider = await startIdentityProvider(t, { redirectUris: [redirectUri], interactive: true });
  provider.people.set('<b>"', { name: '<script>' });
  const jar = new CookieJar();
  const { response, url, verifier } = await authorize(jar, provider, redirectUri);
  const page = await response.text();
  t.match(page, 'ann@example.com');
  t.match(page, 'value="&lt;b&gt;&quot;">&lt;script&gt;<');
  t.notMatch(page, '<script>');
  const nobody = await jar.visit(url, { form: { subject: 'nobody' } });
  t.match([nobody.response.status, await nobody.response.text()], [400, page]);
  const back = await jar.visit(url, { form: { subject: 'ann' } });
  const code = new URL(back.url).searchParams.get('code') ?? '';
  t.match(await redeem(provider, redirectUri, code, verifier), { id_token: /^ey/ });
  const late = await jar.visit(url, { form: { subject: 'ann' } });
  t.match([late.response.status, await late.response.text()], [400, /This sign-in has ended/]);
});

/** Asks for a sign-in, as gateways do, and goes where it leads. */
async function authorize(jar: CookieJar, provider: IdentityProvider, redirectUri: string, more = {}) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: provider.clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid profile email',
    state: 's',
    nonce: 'n',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  });
  return { verifier, ...(await jar.visit(`${provider.issuer}/auth?${query}`)) };
}

async function redeem(provider: IdentityProvider, redirectUri: string, code: string, verifier: string) {
  const answer = await fetch(`${provider.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${provider.clientId}:${encodeURIComponent(provider.secret)}`)}` },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }),
  });
  return (await answer.json()) as { access_token: string; id_token: string };
}
