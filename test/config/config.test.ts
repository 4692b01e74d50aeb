import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import t from 'tap';
import { ConfigError, loadConfig, parseConfig } from '../../src/config/config.ts';

const small = `upstreams:
  api: http://127.0.0.1:4000
routes:
  - path: /
    upstream: api
`;
const read = (text: string, env: Record<string, string> = {}) =>
  parseConfig(text, { file: 'gateway.yaml', env }).config;
const settings = { connectTimeout: 5000, responseHeaderTimeout: 60_000, readTimeout: 300_000, preserveHost: false };
const noRules = { set: {}, remove: [] };

t.test('the smallest file works, and every default is the documented one', async (t) => {
  const config = read(small);
  t.same(JSON.parse(JSON.stringify(config)), {
    server: {
      host: '0.0.0.0',
      workers: 1,
      port: 8080,
      publicPlace: null,
      portalPlace: null,
      trustedProxies: [],
      maxBodySize: null,
      drainDelay: 0,
      shutdownTimeout: 25_000,
    },
    ops: { host: '0.0.0.0', port: 8081 },
    log: { level: 'info', format: 'json' },
    database: { url: 'sqlite:data/tollgate.db', schema: 'public', poolSize: 10, migrate: true, whenDown: 'serve' },
    dataDir: 'data',
    journal: { fsync: 'interval' },
    plans: { Basic: { startingCredits: 5000 } },
    defaultPlan: 'Basic',
    topUpUrl: null,
    auth: {
      apiKeys: { headers: ['authorization', 'x-api-key'] },
      adminTokens: [],
      bearer: [],
      introspection: null,
      signIn: null,
    },
    cors: null,
    upstreams: {
      api: { name: 'api', url: 'http://127.0.0.1:4000', ...settings, tls: { ca: null, insecureSkipVerify: false } },
    },
    routes: [
      {
        name: '/',
        path: '/',
        exact: false,
        methods: null,
        upstream: 'api',
        rewritePrefix: null,
        cost: 1,
        auth: ['key', 'bearer', 'session'],
        scopes: [],
        maxBodySize: null,
        readTimeout: 300_000,
        headers: { request: noRules, response: noRules },
      },
    ],
  });
});

t.test('a configuration cannot be changed, at any depth', async (t) => {
  const config = read(small);
  t.throws(() => Object.assign(config.server, { port: 1 }), TypeError);
  t.throws(() => Object.assign(config.routes[0]?.headers.request.set ?? {}, { a: 'b' }), TypeError);
});

t.test('an upstream written out means the same as its URL alone, and is put into one spelling', async (t) => {
  const long = read(small.replace('http://127.0.0.1:4000', `\n    targets:\n      - HTTP://Example.COM:80/base/\n`));
  t.equal(long.upstreams['api']?.url, 'http://example.com/base');
  t.match(long.upstreams['api'], settings);
});

t.test('tls.ca becomes the certificates that the file holds', async (t) => {
  const [pem = ''] = rootCertificates;
  const text = small.replace('http://127.0.0.1:4000', `\n    targets: [https://h]\n    tls:\n      ca: ca.pem\n`);
  const readWith = (content: string) =>
    parseConfig(text, { file: 'gateway.yaml', env: {}, readFile: (path) => (path === 'ca.pem' ? content : '') });
  t.equal(readWith(pem).config.upstreams['api']?.tls.ca, pem);
  t.throws(() => readWith('no pem'), /5:11: upstreams\.api\.tls\.ca names a file without certificates/);
});

t.test('durations become milliseconds; a limit may be 0 where 0 turns it off', async (t) => {
  const upstream = (key: string, value: string) =>
    small.replace('http://127.0.0.1:4000', `\n    targets: [http://h]\n    ${key}: ${value}\n`);
  t.equal(read(upstream('readTimeout', '0')).upstreams['api']?.readTimeout, 0);
  t.equal(read(upstream('readTimeout', '2h')).upstreams['api']?.readTimeout, 7_200_000);
  t.equal(read(upstream('connectTimeout', '250ms')).upstreams['api']?.connectTimeout, 250);
  for (const wrong of ['0s', '5', '1.5s', '-1s', '5 s', '25d']) {
    t.throws(() => read(upstream('connectTimeout', wrong)), /connectTimeout is /, wrong);
  }
});

t.test('a route has the limits of its server and its upstream, unless it has its own', async (t) => {
  const { routes } = read(`server: { maxBodySize: 64KB }
upstreams:
  api: { targets: [http://h], readTimeout: 30s }
routes:
  - { path: /a, upstream: api }
  - { path: /b, upstream: api, maxBodySize: 1gb, readTimeout: 1h }
  - { path: /c, upstream: api, maxBodySize: 1b, readTimeout: 0 }
`);
  t.same(
    routes.map(({ maxBodySize, readTimeout }) => [maxBodySize, readTimeout]),
    [
      [65_536, 30_000],
      [1_073_741_824, 3_600_000],
      [1, 0],
    ],
  );
});

t.test('a size has a unit and is at least one byte', async (t) => {
  for (const wrong of ['0', '0b', '10', '1.5mb', '-1kb', '10 mb', '10mib', '10m', 'none', '1234567890b']) {
    t.throws(
      () => read(`${small}server:\n  maxBodySize: ${wrong}\n`),
      {
        message:
          /^gateway\.yaml:7:16: server\.maxBodySize is .+\. Write a number from 1 with its unit \(b, kb, mb or gb\), /,
      },
      wrong,
    );
  }
});

t.test('routes get one spelling and a name that tells them apart', async (t) => {
  const { routes } = read(`upstreams:
  api: http://h
routes:
  - { path: /v1/, upstream: api, methods: [get, GET], rewritePrefix: /v2/ }
  - { path: /v1, upstream: api, methods: [POST, PUT] }
  - { path: /v1, upstream: api }
  - { path: /v1/, upstream: api, exact: true, auth: none, name: the list }
`);
  t.same(
    routes.map(({ name, path, methods, rewritePrefix, cost }) => [name, path, methods, rewritePrefix, cost]),
    [
      ['GET /v1', '/v1', ['GET'], '/v2', 1],
      ['POST,PUT /v1', '/v1', ['POST', 'PUT'], null, 1],
      ['/v1', '/v1', null, null, 1],
      ['the list', '/v1/', null, null, 0],
    ],
  );
});

t.test('a key for text takes a number or a boolean as the text that it is', async (t) => {
  const { defaultPlan, routes } = read(
    `${small}    name: 1.0
    headers:
      request:
        set:
          X-Version: 1.10
          X-Debug: true
plans:
  0123:
defaultPlan: 0123
`,
  );
  t.equal(defaultPlan, '0123');
  t.equal(routes[0]?.name, '1.0');
  t.same({ ...routes[0]?.headers.request.set }, { 'x-version': '1.10', 'x-debug': 'true' });
});

t.test('a plan may override Basic; names of users never meet the prototype of objects', async (t) => {
  t.equal(read(`${small}plans:\n  Basic:\n    startingCredits: 0\n`).plans['Basic']?.startingCredits, 0);
  t.equal(read(small).plans['constructor'], undefined);
  t.throws(() => read(`${small}defaultPlan: constructor\n`), /"constructor", which is no plan/);
});

t.test('DATABASE_URL is honoured when the key is absent, and only then', async (t) => {
  const env = { DATABASE_URL: 'postgres://db.example/tollgate' };
  t.equal(read(small, env).database.url, env.DATABASE_URL);
  t.equal(read(`${small}database:\n  url: sqlite:x.db\n`, env).database.url, 'sqlite:x.db');
  t.equal(read(`${small}dataDir: /srv/t\n`, { DATABASE_URL: '' }).database.url, 'sqlite:/srv/t/tollgate.db');
  t.throws(() => read(small, { DATABASE_URL: 'mysql://root:pw@h/d' }), {
    message:
      'gateway.yaml: The variable DATABASE_URL does not fit. Set it to sqlite:PATH or postgres://USER:PASSWORD@HOST/' +
      'DATABASE, special characters percent-encoded, for example postgres://tollgate@127.0.0.1:5432/tollgate.',
  });
});

t.test('aliases stand for what their anchor holds', async (t) => {
  const { routes } = read(`upstreams:
  api: http://h
routes:
  - path: /a
    upstream: api
    headers: &rules
      response: { remove: [Server] }
  - path: /b
    upstream: api
    headers: *rules
`);
  t.same(routes[1]?.headers.response.remove, ['server']);
});

t.test('a file is loaded by name; one that cannot be read is an error with a remedy', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-config-'));
  const file = join(folder, 'gateway.yaml');
  writeFileSync(file, small);
  t.equal(loadConfig({ file, env: {} }).routes.length, 1);
  t.throws(() => loadConfig({ file: join(folder, 'none.yaml'), env: {} }), ConfigError);
  t.throws(
    () => loadConfig({ file: join(folder, 'none.yaml'), env: {} }),
    /does not exist\. Name another with --config/,
  );
  t.throws(() => loadConfig({ file: folder, env: {} }), /is a folder/);
});

t.test('what must not reach production is warned about, with its place', async (t) => {
  const { warnings } = parseConfig(
    `upstreams:
  api:
    targets: [https://h]
    tls:
      insecureSkipVerify: true
routes:
  - path: /
    upstream: api
    headers:
      request:
        set:
          Authorization: Bearer abc
database:
  url: postgres://u:hunter2@h/d
`,
    { file: 'gateway.yaml', env: {} },
  );
  t.same(
    warnings.map(({ line, column, path }) => [line, column, path]),
    [
      [5, 27, 'upstreams.api.tls.insecureSkipVerify'],
      [12, 26, 'routes[0].headers.request.set.Authorization'],
      [14, 8, 'database.url'],
    ],
  );
  t.notMatch(JSON.stringify(warnings), /hunter2|abc/);
});
