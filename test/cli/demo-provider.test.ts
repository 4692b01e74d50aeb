import { createHash, randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import t, { type Test } from 'tap';
import { startProcess } from '../helpers/command-line.ts';
import { CookieJar } from '../helpers/cookie-jar.ts';
import { startUpstream } from '../helpers/upstreams.ts';

interface Discovery {
  readonly authorization_endpoint: string;
  readonly token_endpoint: string;
  readonly userinfo_endpoint: string;
  readonly jwks_uri: string;
}

interface Tokens {
  readonly access_token: string;
  readonly id_token: string;
}

const file = pathToFileURL(resolve('dist/src/cli/demo-provider.js'));

t.test('people sign in at the provider of the demo, and it prints nothing', async (t) => {
  const site = await startUpstream(t);
  const redirectUri = `${site.url}/_tollgate/auth/callback/demo`;
  const child = startProvider(t, redirectUri);
  const { issuer, clientId, clientSecret } = JSON.parse((await child.printed(/^\{.*\}\n/))[0]);
  const discovery = await readJson<Discovery>(`${issuer}/.well-known/openid-configuration`);
  t.match(discovery, { issuer, authorization_response_iss_parameter_supported: true });
  const jar = new CookieJar();
  for (const [subject, name] of [
    ['ada', 'Ada Example'],
    ['grace', 'Grace Example'],
  ] as const) {
    const verifier = randomBytes(32).toString('base64url');
    const query = new URLSearchParams({
      client_id: clientId,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid profile email',
      state: 's',
      nonce: 'n',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
    const { response, url } = await jar.visit(`${discovery.authorization_endpoint}?${query}`);
    const page = await response.text();
    t.match(page, `<button name="subject" value="${subject}">${name}<small>${subject}@example.com</small></button>`);
    t.notMatch(page, /<script|<img|<link|@import|https?:/);
    isStyleAllowed(t, page, response);
    const back = await jar.visit(url, { form: { subject } });
    t.ok(back.url.startsWith(redirectUri));
    const { code = '', ...rest } = Object.fromEntries(new URL(back.url).searchParams);
    t.same(rest, { state: 's', iss: issuer });
    const token = await readJson<Tokens>(discovery.token_endpoint, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        code_verifier: verifier,
      }),
    });
    const keys = createRemoteJWKSet(new URL(discovery.jwks_uri));
    const { payload } = await jwtVerify(token.id_token, keys, { issuer, audience: clientId });
    t.match(payload, { sub: subject, nonce: 'n' });
    const headers = { authorization: `Bearer ${token.access_token}` };
    const claims = { sub: subject, name, email: `${subject}@example.com`, email_verified: true };
    t.same(await readJson(discovery.userinfo_endpoint, { headers }), claims);
  }
  const lost = await jar.visit(`${issuer}/interaction/none`, { form: { subject: 'ada' } });
  t.match([lost.response.status, await lost.response.text()], [400, /start again/]);
  const refused = await jar.visit(
    `${discovery.authorization_endpoint}?client_id=${clientId}&redirect_uri=http://b.example`,
  );
  t.match([refused.response.status, await refused.response.text()], [400, /^invalid_redirect_uri: /]);
  child.child.kill('SIGTERM');
  const { code, stdout, stderr } = await child.ended;
  t.equal(code, 0, 'it is closed, and nothing keeps the process');
  t.same([stdout.split('\n').length, stderr], [2, ''], 'the one line of this test alone');
});

t.test('where its library is not installed there is no provider, and no error', async (t) => {
  const hooks =
    'export const resolve = (specifier, context, next) =>' +
    " next(specifier.replace(/^oidc-provider/, 'oidc-provider-that-is-nowhere'), context);";
  const register = `import { register } from 'node:module'; register(${JSON.stringify(`data:text/javascript,${hooks}`)});`;
  const child = startProvider(t, 'http://127.0.0.1:9/', [
    `--import=data:text/javascript,${encodeURIComponent(register)}`,
  ]);
  t.match(await child.ended, { code: 0, stdout: 'null\n' });
});

/** A process that starts it, prints what it has got as JSON, and closes it at SIGTERM. */
function startProvider(t: Test, redirectUri: string, options: readonly string[] = []) {
  const script = `
    import { startDemoProvider } from ${JSON.stringify(file)};
    const provider = await startDemoProvider('127.0.0.1', ${JSON.stringify(redirectUri)});
    console.log(JSON.stringify(provider));
    if (provider !== null) process.once('SIGTERM', () => provider.close());`;
  return startProcess(t, process.execPath, [...options, '--input-type=module', '--eval', script], process.cwd());
}

/** The policy of the page names the hash of its style, without which a browser leaves it out. */
function isStyleAllowed(t: Test, page: string, { headers }: Response): void {
  const [, style = ''] = /<style>([\s\S]*)<\/style>/.exec(page) ?? [];
  const hash = createHash('sha256').update(style).digest('base64');
  t.ok(headers.get('content-security-policy')?.includes(`'sha256-${hash}'`));
}

async function readJson<T>(url: string, init?: RequestInit): Promise<T> {
  return (await (await fetch(url, init)).json()) as T;
}
