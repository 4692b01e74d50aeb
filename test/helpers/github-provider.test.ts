import { createHash } from 'node:crypto';
import t from 'tap';
import { CookieJar } from './cookie-jar.ts';
import { GitHubProvider } from './github-provider.ts';
import { startUpstream } from './upstreams.ts';

const verifier = 'v'.repeat(43);

t.test(
  'GitHub gives a token for a code once, to who has the secret and the verifier, and errors with 200',
  async (t) => {
    const { provider, redirectUri, authorize, redeem } = await startSignIn(t);
    const code = await authorize();
    const good = { code, redirect_uri: redirectUri, code_verifier: verifier };
    t.match(await redeem(good, 'wrong'), [200, { error: 'incorrect_client_credentials' }]);
    const [status, token] = await redeem(good);
    t.match([status, token], [200, { access_token: /^gho_/, scope: 'read:user,user:email', token_type: 'bearer' }]);
    t.match(await redeem(good), [200, { error: 'bad_verification_code' }], 'the code is gone');
    for (const [wrong, error] of [
      [{ code_verifier: 'x' }, 'bad_verification_code'],
      [{ redirect_uri: `${redirectUri}/` }, 'redirect_uri_mismatch'],
    ] as const) {
      t.match(await redeem({ ...good, code: await authorize(), ...wrong }), [200, { error }]);
    }
    const { clientId: client_id, clientSecret: client_secret } = provider;
    const form = new URLSearchParams({ ...good, code: await authorize(), client_id, client_secret });
    const answer = await fetch(`${provider.url}/login/oauth/access_token`, { method: 'POST', body: form });
    t.match(await answer.text(), /^access_token=gho_/, 'a form, unless JSON is asked for');
  },
);

t.test('GitHub tells who it is, and the addresses to who may read them', async (t) => {
  const { provider, redirectUri, authorize, redeem } = await startSignIn(t);
  const read = async (path: string, scope: string, agent = 'tollgate') => {
    const code = await authorize(scope);
    const [, { access_token: token }] = await redeem({ code, redirect_uri: redirectUri, code_verifier: verifier });
    const headers = { authorization: `Bearer ${token}`, 'user-agent': agent };
    const answer = await fetch(provider.url + path, { headers });
    return [answer.status, await answer.json()];
  };
  provider.person = { ...provider.person, name: null };
  t.match(await read('/user', ''), [200, { id: 4711, login: 'ann', name: null, email: null }]);
  t.match(await read('/user/emails', 'user:email'), [200, provider.emails]);
  t.match(await read('/user/emails', 'read:user'), [404]);
  t.match(await read('/user', '', ''), [403]);
  t.equal((await fetch(`${provider.url}/user`)).status, 401);
  provider.isDown = true;
  t.equal((await fetch(`${provider.url}/user`)).status, 503);
});

async function startSignIn(t: Parameters<typeof GitHubProvider.start>[0]) {
  const [provider, site] = [await GitHubProvider.start(t), await startUpstream(t)];
  const redirectUri = `${site.url}/callback`;
  provider.allowRedirect(redirectUri);
  const authorize = async (scope = 'read:user user:email') => {
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const query = new URLSearchParams({
      client_id: provider.clientId,
      redirect_uri: redirectUri,
      scope,
      state: 's',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    });
    const { url } = await new CookieJar().visit(`${provider.url}/login/oauth/authorize?${query}`);
    const answer = new URL(url).searchParams;
    t.equal(answer.get('state'), 's');
    return answer.get('code') ?? '';
  };
  const redeem = async (form: Record<string, string>, secret = provider.clientSecret) => {
    const headers = { authorization: `Basic ${btoa(`${provider.clientId}:${secret}`)}`, accept: 'application/json' };
    const init = { method: 'POST', headers, body: new URLSearchParams(form) };
    const answer = await fetch(`${provider.url}/login/oauth/access_token`, init);
    return [answer.status, (await answer.json()) as Record<string, string>] as const;
  };
  return { provider, redirectUri, authorize, redeem };
}
