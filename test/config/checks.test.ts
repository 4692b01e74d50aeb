import t from 'tap';
import { parseConfig } from '../../src/config/config.ts';

const upstreams = 'upstreams:\n  api: http://h\n';
const small = `${upstreams}routes:\n  - path: /\n    upstream: api\n`;
const read = (text: string) => parseConfig(text, { file: 'gateway.yaml', env: { SECRET: 's' } });
const withRoutes = (...routes: string[]) =>
  `${upstreams}routes:\n${routes.map((route) => `  - { upstream: api, ${route} }\n`).join('')}`;

t.test('two routes claim the same call when path and method are the same, and HEAD follows GET', async (t) => {
  const clashes: [first: string, second: string, method: string][] = [
    ['path: /a', 'path: /a', 'all methods'],
    ['path: /a', 'path: /a/', 'all methods'],
    ['path: /a', 'path: /a, exact: true', 'all methods'],
    ['path: /a, methods: [GET, POST]', 'path: /a, methods: [PUT, POST]', 'POST'],
    ['path: /a, methods: [GET]', 'path: /a, methods: [HEAD]', 'HEAD'],
    ['path: /a, methods: [HEAD]', 'path: /a, methods: [get]', 'HEAD'],
  ];
  for (const [first, second, method] of clashes) {
    t.throws(
      () => read(withRoutes(first, second)),
      { message: new RegExp(`routes\\[0\\] too, with ${method}\\.`) },
      second,
    );
  }
});

t.test('routes on one path with different methods, or on different paths, claim different calls', async (t) => {
  const pairs: [first: string, second: string][] = [
    ['path: /a', 'path: /a, methods: [GET]'],
    ['path: /a, methods: [POST]', 'path: /a, methods: [GET]'],
    ['path: /a', 'path: /ab'],
    ['path: /a/', 'path: /a/, exact: true'],
  ];
  for (const [first, second] of pairs) {
    const { routes } = read(withRoutes(first, second)).config;
    t.not(routes[0]?.name, routes[1]?.name, second);
  }
});

t.test('names of routes are unique, the default ones included', async (t) => {
  t.throws(
    () => read(withRoutes('path: /a', 'path: /b, name: /a')),
    /routes\[1\]\.name is the name of routes\[0\] too/,
  );
  t.throws(
    () => read(withRoutes('path: /b, name: /a', 'path: /a')),
    /routes\[0\]\.name is the name of routes\[1\] too/,
  );
});

t.test('two listeners need two ports, unless their addresses differ or the port is free to choose', async (t) => {
  const ports = (server: string, ops: string) => `${small}server: { ${server} }\nops: { ${ops} }\n`;
  t.throws(() => read(ports('port: 80', 'port: 80')), /ops\.port is the same/);
  t.throws(() => read(ports('port: 80, host: 127.0.0.1', 'port: 80')), /ops\.port is the same/);
  t.throws(() => read(`${small}server:\n  port: 8081\n`), /7:9: server\.port is the same/);
  t.doesNotThrow(() => read(ports('port: 80, host: 127.0.0.1', 'port: 80, host: 127.0.0.2')));
  t.doesNotThrow(() => read(ports('port: 0', 'port: 0')));
});

t.test('a database is named by a URL that means one thing', async (t) => {
  const database = (url: string) => read(`${small}database:\n  url: "${url}"\n`).config.database.url;
  for (const url of ['sqlite:x.db', 'sqlite:/x.db', 'postgres://h/d', 'postgresql://u:p%40w@h:5/d?sslmode=require']) {
    t.equal(database(url), url);
  }
  const wrong = [
    'x.db',
    'sqlite:',
    'sqlite://x.db',
    'sqlite::memory:',
    'mysql://h',
    'postgres://',
    'postgres://u:p@w/x@h/d',
  ];
  for (const url of wrong) t.throws(() => database(url), /7:8: database\.url has a value that does not fit/, url);
});

t.test('a URL for callers holds no password', async (t) => {
  t.equal(read(`${small}topUpUrl: https://Example.com\n`).config.topUpUrl, 'https://example.com/');
  t.throws(() => read(`${small}topUpUrl: https://u:p@example.com\n`), /topUpUrl is not a URL that callers can be sent/);
});

t.test('tls beside an http URL is warned about, because it does nothing', async (t) => {
  const text = small.replace('http://h', '{ targets: [http://h], tls: { insecureSkipVerify: false } }');
  t.match(read(text).warnings, [{ line: 2, path: 'upstreams.api.tls' }]);
});

t.test('an exact route that a slash at the end leads past, to a cheaper one, is warned about', async (t) => {
  const warningsOf = (...routes: string[]) => read(withRoutes('path: /', ...routes)).warnings;
  t.match(warningsOf('path: /dear, exact: true, cost: 100'), [
    { line: 5, path: 'routes[1].exact', message: /\/dear\/ takes the route \/, / },
  ]);
  t.same(warningsOf('path: /dear, exact: true, cost: 100', 'path: /dear/, exact: true, cost: 100'), []);
  t.same(warningsOf('path: /dear, exact: true'), []);
});

/** Warnings, or else problems. */
function complaintsOf(text: string): string[] {
  try {
    return read(text).warnings.map(({ message }) => message);
  } catch (error) {
    return (error as { problems: { message: string }[] }).problems.map(({ message }) => message);
  }
}

t.test('issuers are told apart, and routes want no tokens where there are none', async (t) => {
  const issuer = (url: string) => `{ issuer: "${url}", audience: a }`;
  const auth = (...issuers: string[]) => `auth: { bearer: [${issuers.map(issuer).join(', ')}] }\n`;
  const one = auth('https://a.example');
  t.same(complaintsOf(one + withRoutes('path: /', 'path: /a, auth: [bearer], scopes: [x]')), []);
  t.match(complaintsOf(auth('https://a.example', 'https://a.example') + small), [/^auth\.bearer\[1\]\.issuer .* too$/]);
  t.match(complaintsOf(auth('http://a.example') + small), [/^auth\.bearer\[0\]\.issuer is not https/]);
  for (const host of ['localhost:1', '127.0.0.1', '[::1]:80']) t.same(complaintsOf(auth(`http://${host}`) + small), []);
  t.match(complaintsOf(withRoutes('path: /, auth: [bearer]')), [/^routes\[0\]\.auth lets in tokens of nobody/]);
  for (const route of ['scopes: [x]', 'scopes: [x], auth: [key]', 'scopes: [x], auth: none']) {
    const text = (route === 'scopes: [x]' ? '' : one) + withRoutes(`path: /, ${route}`);
    t.match(complaintsOf(text), [/^routes\[0\]\.scopes are of tokens/], route);
  }
  t.match(complaintsOf(auth('https://a.example?x') + small), [/^auth\.bearer\[0\]\.issuer/]);
  t.match(
    complaintsOf(`auth: { bearer: [{ issuer: "https://a.example", audience: a, algorithms: [HS256] }] }\n${small}`),
    [/algorithms\[0\] is "HS256"/],
  );
});

t.test('who is asked about tokens is named with a client, and with whose tokens are taken, once', async (t) => {
  const secret = `\${SECRET}`;
  const asking = `introspection: 'https://a.example/ask', clientId: c, clientSecret: '${secret}', clients: app`;
  const complaints = (...providers: string[]) =>
    complaintsOf(`auth: { bearer: [${providers.map((provider) => `{ ${provider} }`).join(', ')}] }\n${small}`);
  t.same(complaints(asking, 'issuer: "https://a.example", audience: a'), []);
  t.match(complaints(asking, asking), [/^auth\.bearer\[1\]\.introspection stands in auth\.bearer\[0\] too/]);
  t.match(complaints('audience: a'), [/^auth\.bearer\[0\] names nobody/]);
  t.match(complaints('issuer: "https://a.example"'), [/^auth\.bearer\[0\]\.audience is missing/]);
  t.match(complaints('issuer: "https://a.example", audience: a, clients: app'), [/clients stands beside issuer/]);
  t.match(complaints(`${asking}, leeway: 5s`), [/leeway stands beside introspection/]);
  t.match(complaints('introspection: "https://a.example"'), [
    /clientId is missing/,
    /clientSecret is missing/,
    /every client/,
  ]);
  t.match(complaints(asking.replace(secret, 'secret')), [/clientSecret stands in clear text/]);
  t.notMatch(complaints(asking.replace(secret, 'hunter2')).join(), 'hunter2');
  t.match(complaints(asking.replace('https:', 'http:')), [/introspection is not https/]);
});
