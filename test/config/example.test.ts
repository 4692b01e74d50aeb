import { Ajv } from 'ajv';
import t from 'tap';
import { parse } from 'yaml';
import { renderEditorSchema } from '../../scripts/config-reference.ts';
import { parseConfig } from '../../src/config/config.ts';
import { activate, exampleEnv, exampleText, findSections } from './example-file.ts';

const isFine = new Ajv({ strict: false }).compile(JSON.parse(renderEditorSchema()));
const read = (text: string, env: Record<string, string> = {}) => parseConfig(text, { file: 'gateway.yaml', env });

t.test('the example passes as it stands, without a variable and without a warning', async (t) => {
  const { config, variables, warnings } = read(exampleText);
  t.equal(config.upstreams['api']?.url, 'http://127.0.0.1:4000');
  t.same(variables, []);
  t.same(warnings, []);
  t.ok(isFine(parse(exampleText)), 'and editors take it');
});

t.test('every optional section of the example passes, alone and with all others', async (t) => {
  const sections = findSections(exampleText);
  t.equal(sections.length, 13);
  for (const section of [...sections.map((one) => [one]), sections]) {
    const text = activate(exampleText, section);
    t.match(section[0]?.explanation, /^# [A-Z`].*[.:]/, 'has a line of explanation');
    t.doesNotThrow(() => read(text, exampleEnv), section[0]?.explanation ?? '');
    t.notSame(parse(text), parse(exampleText), 'changes something');
    t.ok(isFine(parse(text)), 'editors take it with its variables in place');
  }
});

t.test('the example with every section active says what it means', async (t) => {
  const { config, variables, warnings } = read(activate(exampleText, findSections(exampleText)), exampleEnv);
  t.same(variables, [...Object.keys(exampleEnv), 'PORT'].sort());
  t.same(warnings, []);
  t.same(config.server, {
    host: '0.0.0.0',
    port: 8080,
    workers: 4,
    publicPlace: { origin: 'https://api.example.com', host: 'api.example.com', path: '', isSecure: true },
    portalPlace: { origin: 'https://account.example.com', host: 'account.example.com', path: '', isSecure: true },
    trustedProxies: ['10.0.0.0/8', 'fd00::/8'],
    maxBodySize: 10 * 1024 ** 2,
    drainDelay: 5000,
    shutdownTimeout: 25_000,
  });
  t.same(config.cors, { origins: ['https://app.example.com'], headers: ['*'], maxAgeSeconds: 600 });
  t.same(config.auth.adminTokens, [{ name: 'billing', token: exampleEnv.ADMIN_TOKEN }]);
  t.match(config.auth.bearer, [{ audience: ['https://api.example.com'], leeway: 30_000, requireType: false }]);
  t.same(
    config.auth.signIn?.providers.map(({ name, kind, issuer }) => [name, kind, issuer]),
    [
      ['google', 'openid', 'https://accounts.google.com'],
      ['github', 'oauth2', 'https://github.com'],
      ['work', 'openid', 'https://login.example.com/realms/main'],
    ],
  );
  t.match(config.auth.signIn, { allow: { anyone: false }, admins: [{ provider: 'google', email: 'ops@example.com' }] });
  t.equal(config.database.url, 'postgres://tollgate:correct-horse@db.example.internal:5432/tollgate');
  t.same({ ...config.plans }, { Basic: { startingCredits: 5000 }, Pro: { startingCredits: 50_000 } });
  t.same(
    config.routes.map(({ name, path, cost, auth }) => [name, path, cost, auth]),
    [
      ['/', '/', 1, ['key', 'bearer', 'session']],
      ['chat', '/v1/chat', 10, ['key', 'bearer', 'session']],
      ['/health', '/health', 0, 'none'],
      ['/partner', '/partner', 1, ['key', 'bearer', 'session']],
      ['/v1/files', '/v1/files', 1, ['key', 'bearer', 'session']],
    ],
  );
  t.same({ ...config.routes[3]?.headers.request.set }, { authorization: 'Bearer partner-0123' });
});

t.test('editors refuse what the gateway refuses: unknown keys, wrong types, missing keys', async (t) => {
  const small = { upstreams: { api: 'http://127.0.0.1:4000' }, routes: [{ path: '/', upstream: 'api' }] };
  t.ok(isFine(small));
  t.notOk(isFine({ ...small, servr: {} }));
  t.notOk(isFine({ ...small, server: { port: '8080' } }));
  t.notOk(isFine({ ...small, routes: [{ path: '/' }] }));
  t.notOk(isFine({ upstreams: small.upstreams }));
  t.notOk(isFine({ ...small, cors: {} }), 'cors without origins');
  t.notOk(isFine({ ...small, server: { maxBodySize: '10 mb' } }));
  t.ok(isFine({ ...small, server: { port: `\${PORT}` }, log: null, defaultPlan: 5 }));
});
