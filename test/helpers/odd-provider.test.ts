import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import t from 'tap';
import { CookieJar } from './cookie-jar.ts';
import { OddProvider, signedWith, signedWithPublicKey, unsigned } from './odd-provider.ts';
import { newKey } from './token-issuer.ts';
import { startUpstream } from './upstreams.ts';

t.test('left alone, the odd provider is an honest one', async (t) => {
  const provider = await OddProvider.start(t);
  const answer = await authorize(t, provider);
  t.same(answer, { code: 'odd-provider-code-1', state: 's', iss: provider.issuer });
  const token = await redeem(provider);
  const keys = createRemoteJWKSet(new URL(`${provider.issuer}/keys`));
  const { payload } = await jwtVerify(token.id_token, keys, { issuer: provider.issuer, audience: provider.clientId });
  t.match(payload, { sub: 'ann', nonce: 'n' });
  t.match(provider.tokenRequests[0], { authorization: 'Basic x' });
  t.equal(provider.tokenRequests[0]?.form.get('code'), 'odd-provider-code-1');
  t.match(await read(provider, '/userinfo'), [200, { sub: 'ann', email_verified: true }]);
  const document = { issuer: provider.issuer, authorization_response_iss_parameter_supported: true };
  t.match(await read(provider, '/.well-known/openid-configuration'), [200, document]);
  t.same(provider.asked, ['/authorize', '/token', '/keys', '/userinfo', '/.well-known/openid-configuration']);
});

t.test('the odd provider says what it is told to, and leaves out what it is told to', async (t) => {
  const provider = await OddProvider.start(t);
  provider.redirect = { code: undefined, iss: 'http://other.example', error: 'access_denied' };
  t.same(await authorize(t, provider), { state: 's', iss: 'http://other.example', error: 'access_denied' });
  provider.claims = { nonce: undefined, aud: ['a', 'b'], azp: 'a', exp: 1 };
  provider.tokenAnswer = { token_type: 'odd', expires_in: undefined };
  const other = await newKey('other');
  for (const [make, header] of [
    [unsigned, { alg: 'none' }],
    [signedWithPublicKey(provider.key), { alg: 'HS256', kid: 'first' }],
    [signedWith(other), { alg: 'ES256', kid: 'other' }],
  ] as const) {
    provider.makeIdToken = make;
    const token = await redeem(provider);
    t.same(Object.keys(token), ['access_token', 'token_type', 'id_token']);
    t.same(decodeProtectedHeader(token.id_token), header);
    const claims = JSON.parse(Buffer.from(token.id_token.split('.')[1] ?? '', 'base64url').toString());
    t.match(claims, { aud: ['a', 'b'], azp: 'a', exp: 1, sub: 'ann' });
    t.notOk('nonce' in claims);
  }
  provider.makeIdToken = async () => undefined;
  t.notOk('id_token' in (await redeem(provider)));
  provider.userinfo = { sub: 'bob' };
  provider.discovery = { userinfo_endpoint: undefined };
  t.match(await read(provider, '/userinfo'), [200, { sub: 'bob' }]);
  t.notOk('userinfo_endpoint' in (await read(provider, '/.well-known/openid-configuration'))[1]);
  provider.answers.set('/userinfo', (_request, response) => response.writeHead(418).end('{}'));
  t.match(await read(provider, '/userinfo'), [418]);
  provider.isDown = true;
  t.equal((await fetch(`${provider.issuer}/userinfo`)).status, 503);
});

async function authorize(t: Parameters<typeof OddProvider.start>[0], provider: OddProvider) {
  const site = await startUpstream(t);
  const query = new URLSearchParams({ redirect_uri: `${site.url}/callback`, state: 's', nonce: 'n' });
  const { url } = await new CookieJar().visit(`${provider.issuer}/authorize?${query}`);
  return Object.fromEntries(new URL(url).searchParams);
}

async function redeem(provider: OddProvider) {
  const body = new URLSearchParams({ code: 'odd-provider-code-1' });
  const init = { method: 'POST', headers: { authorization: 'Basic x' }, body };
  return (await (await fetch(`${provider.issuer}/token`, init)).json()) as { id_token: string };
}

async function read(provider: OddProvider, path: string): Promise<[status: number, document: object]> {
  const answer = await fetch(provider.issuer + path);
  return [answer.status, (await answer.json()) as object];
}
