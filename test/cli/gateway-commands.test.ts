import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import { commandLineIn, openCommandLine } from '../helpers/command-line.ts';
import { CookieJar } from '../helpers/cookie-jar.ts';
import { temporaryFolder } from '../helpers/databases.ts';
import { startUpstream } from '../helpers/upstreams.ts';

t.test('the demo prints a curl line that works and charges, and leaves nothing behind', async (t) => {
  const folder = await temporaryFolder(t);
  const { start } = commandLineIn(t, folder);
  const demo = start('demo --port 0 --json');
  const document = JSON.parse((await demo.printed(/\{.*\}\n/))[0]);
  t.match(document, { user: 'demo@tollgate.example', url: /^http:\/\/127\.0\.0\.1:\d+$/, key: /^tg_/ });
  const [, authorization, url] = /^curl -i -H 'Authorization: (Bearer tg_\w+)' (http:\S+)$/.exec(document.curl) ?? [];
  const headers = { authorization: authorization ?? '' };
  const answer = await fetch(url ?? '', { headers });
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('x-credits-cost'), '1');
  t.equal(answer.headers.get('x-credits-remaining'), '4999');
  t.match(await answer.json(), { method: 'GET', path: '/anything' });
  const failed = await fetch(`${document.url}/status/503`, { headers });
  t.match([failed.status, failed.headers.get('x-credits-cost')], [503, '0']);
  await failed.text();
  const events = await fetch(`${document.url}/stream`, { headers });
  t.match(await events.text(), /^data: {"event":1,"of":5}\n\n/);
  const chat = { model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] };
  const completion = await fetch(`${document.url}/v1/chat/completions`, {
    method: 'POST',
    headers,
    body: JSON.stringify(chat),
  });
  t.match(await completion.text(), /"content":"hello".*data: \[DONE\]\n\n$/s);
  demo.child.kill('SIGTERM');
  t.match(await demo.ended, { code: 0, stderr: '' });
});

t.test('at the demo somebody signs in and has credits, with an account nowhere', async (t) => {
  const { start } = commandLineIn(t, await temporaryFolder(t));
  const demo = start('demo --port 0 --json');
  const { url, portalUrl } = JSON.parse((await demo.printed(/\{.*\}\n/))[0]);
  const jar = new CookieJar();
  const door = await (await jar.fetch(portalUrl)).text();
  const page = await jar.visit(/href="([^"]+\/login\/demo[^"]*)"/.exec(door)?.[1] ?? '');
  t.match(await page.response.text(), /Ada Example/);
  const landed = await jar.visit(page.url, { form: { subject: 'ada' } });
  t.equal(landed.url, `${url}/_tollgate/`);
  t.match(await landed.response.text(), /<p class="big">5,000<\/p>/);
  const answer = await jar.fetch(`${url}/anything`);
  t.match([answer.status, answer.headers.get('x-credits-remaining')], [200, '4999']);
  const { headers } = (await answer.json()) as { headers: Record<string, string> };
  t.equal(headers['cookie'] ?? '', '', 'the session goes no further');
  demo.child.kill('SIGTERM');
  t.match(await demo.ended, { code: 0, stderr: '' });
});

t.test('the demo takes free ports when its own are busy', async (t) => {
  const busy = createServer()
    .listen(8080, '127.0.0.1')
    .on('error', () => {});
  t.teardown(() => busy.close());
  const { start } = commandLineIn(t, await temporaryFolder(t));
  const demo = start('demo');
  const [, port] = await demo.printed(/curl -i .* http:\/\/127\.0\.0\.1:(\d+)\//);
  t.not(port, '8080');
  demo.child.kill('SIGINT');
  t.equal((await demo.ended).code, 0);
});

t.test('start serves until SIGTERM, and health asks it', async (t) => {
  const { folder, start, run } = await openCommandLine(t, 'sqlite');
  t.match(await run('health'), { code: 1, stderr: /ops\.port is 0/ });
  const opsPort = await freePort();
  await setOpsPort(folder, opsPort);
  t.match(await run('health'), { code: 1, stdout: /^not ready: .*ECONNREFUSED/ });
  const gateway = start('start');
  await gateway.printed(/tollgate is ready/);
  t.match(await run('health --json'), { code: 0, stdout: `"url":"http://127.0.0.1:${opsPort}/readyz"` });
  const second = await start('start').ended;
  t.match(second.code, 1);
  t.match(second.stderr, /^error: .*EADDRINUSE.*choose another in server\.port or ops\.port\.\n$/);
  gateway.child.kill('SIGTERM');
  t.match(await gateway.ended, { code: 0, stderr: '' });
});

t.test('start that could not hand in its charges says so, and ends with 1', async (t) => {
  const upstream = await startUpstream(t);
  const { folder, start, run, json, test } = await openCommandLine(t, 'sqlite');
  const file = join(folder, 'gateway.yaml');
  await writeFile(file, (await readFile(file, 'utf8')).replace('http://127.0.0.1:9', upstream.url));
  await json('users create ann@b.example');
  const { key } = await json<{ key: string }>('keys create ann@b.example');
  const gateway = start('start');
  const [, address] = await gateway.printed(/"address":"([^"]+)"/);
  const call = async () => (await fetch(`${address}/`, { headers: { 'x-api-key': key } })).status;
  t.equal(await call(), 200);
  await sql`ALTER TABLE ledger RENAME TO elsewhere`.execute(test.database.db);
  t.equal(await call(), 200);
  gateway.child.kill('SIGTERM');
  t.match(await gateway.ended, { code: 1, stdout: /charges stay in the journal/ });
  await sql`ALTER TABLE elsewhere RENAME TO ledger`.execute(test.database.db);
  t.match(await run('audit'), { code: 0 }, 'the books are right without them');
});

t.test('check shows where each route leads, what is shadowed, and the variables', async (t) => {
  const folder = await temporaryFolder(t);
  const text = `
upstreams:
  api: http://127.0.0.1:4000
routes:
  - path: /search
    upstream: api
    rewritePrefix: /v2/search
  - path: /chat
    methods: [POST]
    upstream: api
    cost: 10
  - path: /status
    exact: true
    upstream: api
    auth: none
topUpUrl: \${TOP_UP:-https://b.example/}
`;
  await writeFile(join(folder, 'gateway.yaml'), text);
  const { run } = commandLineIn(t, folder);
  const { code, stdout, stderr } = await run('check');
  t.match({ code, stderr }, { code: 0, stderr: '' });
  t.same(stdout.trimEnd().split('\n'), [
    `${join(folder, 'gateway.yaml')} is valid.`,
    '',
    'GET /search/x → http://127.0.0.1:4000/v2/search/x, 1 credit',
    'POST /chat/x → http://127.0.0.1:4000/chat/x, 10 credits',
    'GET /status → http://127.0.0.1:4000/status, public and free',
    '',
    'Variables used: TOP_UP',
  ]);
  const document = JSON.parse((await run('validate --json')).stdout);
  t.match(document, { valid: true, redirects: [], variables: ['TOP_UP'], warnings: [] });
  t.match(document.routes[0].sample, { method: 'GET', path: '/search/x', url: 'http://127.0.0.1:4000/v2/search/x' });
  const explain = async (call: string) => (await run(['check', '--explain', call])).stdout.trimEnd();
  t.equal(
    await explain('POST /chat?q=1'),
    'POST /chat?q=1 → http://127.0.0.1:4000/chat?q=1, 10 credits (route POST /chat)',
  );
  t.match(await explain('GET /chat'), /^GET \/chat is refused: 405 TG_METHOD_NOT_ALLOWED\. .* Allowed: POST\.$/);
  t.match(await explain('/search/../chat'), /^GET .* is refused: 400 TG_PATH_AMBIGUOUS/);
  t.match(await explain('GET /_tollgate/'), /own paths/);
});

t.test('check shows the redirect address to register at each provider', async (t) => {
  const folder = await temporaryFolder(t);
  const text = (server: string) => `
upstreams:
  api: http://127.0.0.1:4000
routes:
  - path: /
    upstream: api
server: { ${server}, trustedProxies: [10.0.0.1] }
auth:
  session: { secret: "\${S:-a-secret-of-32-characters-or-more}" }
  allow: { emailDomains: [example.com] }
  providers:
    google: { clientId: c, clientSecret: "\${S:-x}" }
    work: { issuer: https://login.example.com, clientId: c, clientSecret: "\${S:-x}" }
`;
  const { run } = commandLineIn(t, folder);
  const check = async (server: string, args = 'check') => {
    await writeFile(join(folder, 'gateway.yaml'), text(server));
    const { code, stdout } = await run(args);
    t.equal(code, 0);
    return stdout;
  };
  const publicUrl = 'publicUrl: https://api.example.com/gw/';
  t.same((await check(publicUrl)).trimEnd().split('\n').slice(2), [
    'GET /x → http://127.0.0.1:4000/x, 1 credit',
    '',
    'Register at google: https://api.example.com/gw/_tollgate/auth/callback/google',
    'Register at work: https://api.example.com/gw/_tollgate/auth/callback/work',
    '',
    'Variables used: S',
  ]);
  const { redirects } = JSON.parse(await check(`${publicUrl}, portalUrl: https://account.example.com`, 'check --json'));
  t.same(redirects, [
    { provider: 'google', url: 'https://account.example.com/_tollgate/auth/callback/google' },
    { provider: 'work', url: 'https://account.example.com/_tollgate/auth/callback/work' },
  ]);
});

t.test('check --json gives the problems of an invalid configuration as its document', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(
    join(folder, 'gateway.yaml'),
    'upstreams:\n  api: http://127.0.0.1:4000\nroutes:\n  - path: nowhere\n    upstream: ap\n',
  );
  const { run } = commandLineIn(t, folder);
  const { code, stdout, stderr } = await run('check --json');
  t.match({ code, stderr }, { code: 78, stderr: '' });
  t.match(JSON.parse(stdout), { valid: false, problems: [{ line: 4, path: 'routes[0].path' }, { line: 5 }] });
  t.match(await run('check'), { code: 78, stdout: '', stderr: /gateway\.yaml:4:11: / });
});

t.test('the version is the package’s', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const { run } = commandLineIn(t, await temporaryFolder(t));
  t.match(await run('version'), { code: 0, stdout: `${version}\n` });
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error()),
      );
    });
  });
}

async function setOpsPort(folder: string, port: number): Promise<void> {
  const file = join(folder, 'gateway.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('ops: { host: 127.0.0.1, port: 0 }', `ops: { host: 127.0.0.1, port: ${port} }`));
}
