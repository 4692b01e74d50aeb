import t from 'tap';
import { ConfigError, parseConfig } from '../../src/config/config.ts';

const small = `upstreams:
  api: http://127.0.0.1:4000
routes:
  - path: /
    upstream: api
`;
const read = (text: string, env: Record<string, string> = {}) => parseConfig(text, { file: 'gateway.yaml', env });

/** What is said about the smallest file with these lines after it: the first of them is line 6. */
function problemsOf(lines: string, env: Record<string, string> = {}): string[] {
  try {
    read(small + lines, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

t.test('a trusted proxy is an address or a range, IPv4 or IPv6', async (t) => {
  const ranges = ['10.0.0.7', '10.0.0.0/8', '::1', 'fd00::/8', '::ffff:10.0.0.0/104', '192.0.2.1/32', '2001:db8::/128'];
  const { config, warnings } = read(`${small}server:\n  trustedProxies: ${JSON.stringify(ranges)}\n`);
  t.same(config.server.trustedProxies, ranges);
  t.same(warnings, []);
});

t.test('what is no address is told with its place and what to write', async (t) => {
  const wrong = ['lb.internal', '10.0.0', '10.0.0.0/33', '::1/129', '10.0.0.0/8/8', '10.0.0.0/', 'fe80::1%eth0', '/8'];
  const lines = wrong.map((range) => `    - ${range}\n`).join('');
  t.same(
    problemsOf(`server:\n  trustedProxies:\n${lines}`),
    wrong.map(
      (range, index) =>
        `gateway.yaml:${index + 8}:7: server.trustedProxies[${index}] is "${range}". ` +
        'Write an address such as 10.0.0.7 or a range such as 10.0.0.0/8.',
    ),
  );
});

t.test('a list that trusts everybody is warned about', async (t) => {
  const { warnings } = read(`${small}server:\n  trustedProxies: [10.0.0.0/8, 0.0.0.0/0, "::/0"]\n`);
  t.match(warnings, [
    { line: 7, column: 32, path: 'server.trustedProxies[1]', message: /trusts everybody/ },
    { line: 7, column: 43, path: 'server.trustedProxies[2]', message: /trusts everybody/ },
  ]);
});

t.test('drainDelay may be nothing, and both times are ones that a timer can hold', async (t) => {
  for (const [written, milliseconds] of [
    ['0', 0],
    ['0s', 0],
    ['5s', 5000],
  ] as const) {
    t.equal(read(`${small}server:\n  drainDelay: ${written}\n`).config.server.drainDelay, milliseconds);
  }
  t.same(problemsOf('server:\n  drainDelay: 25d\n  shutdownTimeout: 25d\n'), [
    'gateway.yaml:7:15: server.drainDelay is longer than 24 days. Write a shorter time.',
    'gateway.yaml:8:20: server.shutdownTimeout is longer than 24 days. Write a shorter time.',
  ]);
  t.same(problemsOf('server:\n  drainDelay: 5\n'), [
    'gateway.yaml:7:15: server.drainDelay is "5". ' +
      'Write a number with its unit (ms, s, m, h or d), or 0 for none, for example 5s.',
  ]);
});

t.test('the read time-out of a route is one that a timer can hold', async (t) => {
  t.same(problemsOf('  - { path: /a, upstream: api, readTimeout: 25d }\n'), [
    'gateway.yaml:6:45: routes[1].readTimeout is longer than 24 days. Write a shorter time.',
  ]);
});

t.test('cors is off without its section, and wants no more than origins', async (t) => {
  t.equal(read(small).config.cors, null);
  const { cors } = read(`${small}cors:\n  origins: ["*"]\n`).config;
  t.same(cors, { origins: '*', headers: ['*'], maxAgeSeconds: 600 });
  t.same(problemsOf('cors:\n'), ['gateway.yaml:6:6: cors.origins is missing. Write a list of at least one origin.']);
  t.same(problemsOf('cors:\n  origins: []\n'), [
    'gateway.yaml:7:12: cors.origins is empty. Write a list of at least one origin.',
  ]);
});

t.test('origins are kept as browsers send them, header fields in lower case, each once', async (t) => {
  const { cors } = read(`${small}cors:
  origins:
    - https://app.example.com
    - http://localhost:3000
    - http://[::1]:3000
    - capacitor://localhost
    - https://app.example.com
  headers: [Authorization, content-type, authorization]
  maxAge: 1500ms
`).config;
  t.same(cors, {
    origins: ['https://app.example.com', 'http://localhost:3000', 'http://[::1]:3000', 'capacitor://localhost'],
    headers: ['authorization', 'content-type'],
    maxAgeSeconds: 1,
  });
});

t.test('an origin that no browser would send is told with its right spelling, where there is one', async (t) => {
  const other = 'an origin such as https://app.example.com, or "*" for any';
  const wrong: [origin: string, remedy: string][] = [
    ['https://app.example.com/', 'https://app.example.com'],
    ['HTTPS://App.Example.com', 'https://app.example.com'],
    ['https://app.example.com:443', 'https://app.example.com'],
    ['https://app.example.com/path', other],
    ['https://app.example.com?x', other],
    ['https://*.example.com', other],
    ['app.example.com', other],
    ['localhost:3000', other],
    ['file:///', other],
    ['"null"', other],
  ];
  const lines = wrong.map(([origin]) => `    - ${origin}\n`).join('');
  t.same(
    problemsOf(`cors:\n  origins:\n${lines}`),
    wrong.map(([origin, remedy], index) => {
      const said = origin.replaceAll('"', '');
      return `gateway.yaml:${index + 8}:7: cors.origins[${index}] is "${said}". Write ${remedy}.`;
    }),
  );
  t.same(problemsOf(`cors:\n  origins:\n    - \${APP}\n`, { APP: 'https://secret.example/' }), [
    `gateway.yaml:8:7: cors.origins[0] has a value that does not fit, from \${APP}. Write ${other}.`,
  ]);
});

t.test('any origin and a list of them exclude each other', async (t) => {
  t.same(problemsOf('cors:\n  origins: ["*", https://app.example.com]\n'), [
    'gateway.yaml:7:13: cors.origins[0] stands beside other origins. Write "*" alone, or the others without it.',
  ]);
});

t.test('a route has no rules for the fields that cors answers for, but may let scripts read more', async (t) => {
  const withRules = (rules: string) =>
    `    headers: { response: { ${rules} } }\ncors:\n  origins: [https://app.example.com]\n`;
  t.same(
    problemsOf(
      withRules('set: { Access-Control-Allow-Origin: "*" }, remove: [server, access-control-allow-credentials]'),
    ),
    [
      'gateway.yaml:6:64: routes[0].headers.response.set.Access-Control-Allow-Origin names a field that cors answers ' +
        'for. Remove one of the two.',
      'gateway.yaml:6:88: routes[0].headers.response.remove[1] names a field that cors answers for. Remove one of the two.',
    ],
  );
  t.same(problemsOf(withRules('set: { Access-Control-Expose-Headers: X-Total }')), []);
  t.same(problemsOf('    headers: { response: { set: { Access-Control-Allow-Origin: "*" } } }\n'), [], 'cors is off');
});

t.test('header fields in which no key can be sent are warned about', async (t) => {
  const warningsOf = (headers: string) =>
    read(`${small}cors:\n  origins: ["*"]\n  headers: ${headers}\n`).warnings.map(({ path }) => path);
  t.same(warningsOf('[content-type]'), ['cors.headers']);
  t.same(warningsOf('[]'), ['cors.headers']);
  for (const headers of ['[content-type, X-API-Key]', '["*"]', '[AUTHORIZATION]']) t.same(warningsOf(headers), []);
});
