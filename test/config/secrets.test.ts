import t from 'tap';
import { ConfigError, parseConfig } from '../../src/config/config.ts';

// Every place that takes a value gets the secret, in each way of writing it, and no message may hold it.
const secret = 'hunter2-s3cr3t';
const places = [
  'server:\n  host: X\n',
  'server:\n  port: X\n',
  'server:\n  shutdownTimeout: X\n',
  'ops: X\n',
  'log:\n  level: X\n',
  'database:\n  migrate: X\n',
  'database:\n  url: X\n',
  'database:\n  url: postgres://u:X@ss/w@h/db\n',
  'database:\n  url: "postgres://u:X@[h/db"\n',
  'database:\n  schema: X\n',
  'plans:\n  P:\n    startingCredits: X\n',
  'plans:\n  P: X\n',
  'defaultPlan: X\n',
  'topUpUrl: X\n',
  'topUpUrl: https://u:X@h\n',
  'auth:\n  apiKeys:\n    headers: X\n',
  'auth:\n  apiKeys:\n    headers:\n      - X /\n',
  'server:\n  publicUrl: X\n',
  'server:\n  publicUrl: https://u:X@h\n',
  'auth:\n  session:\n    maxAge: X\n',
  'auth:\n  session:\n    secret:\n      a: X\n',
  'auth:\n  session:\n    secret: "X\\n"\n',
  'auth:\n  session:\n    secret:\n      - "X\\n"\n',
  'auth:\n  providers:\n    google:\n      clientSecret: "X\\n"\n',
  'auth:\n  providers:\n    google:\n      clientSecret: X\n',
  'auth:\n  providers:\n    git:\n      issuer: X\n',
  'auth:\n  providers:\n    microsoft:\n      tenant: "X /"\n',
  'auth:\n  providers:\n    git:\n      map:\n        email: "X /"\n',
  'auth:\n  allow:\n    emailDomains:\n      - X\n',
  'auth:\n  allow:\n    emails:\n      - X\n',
  'auth:\n  admins:\n    - X\n',
  'auth:\n  admins:\n    - X:a@b.example\n',
];
const routePlaces = [
  'path: X',
  'path: /X/../a',
  'path: /?X',
  'upstream: X',
  'exact: X',
  'methods: [ "X" ]',
  'rewritePrefix: X',
  'cost: X',
  'auth: X',
  'auth: [ "X" ]',
  'headers: X',
  'headers: { request: { set: { A: "X\\n" } } }',
  'headers: { request: { remove: [ "X /" ] } }',
];
const upstreamPlaces = ['X', 'http://u:X@h', 'http://h?key=X', '{ targets: [ "http://u:X@h" ] }', '{ tls: "X" }'];

const upstreams = 'upstreams:\n  api: http://h\n';
const routes = 'routes:\n  - path: /\n    upstream: api\n';
const templates = [
  ...places.map((place) => upstreams + routes + place),
  ...routePlaces.map((place) => `${upstreams}routes:\n  - name: r\n    ${place}\n`),
  ...upstreamPlaces.map((place) => `upstreams:\n  api: ${place}\n${routes}`),
];

t.test('no message holds a value that came from a variable, a default or a file', async (t) => {
  const spellings = [`\${SECRET}`, `\${file:/secret}`, `\${UNSET:-${secret}}`];
  let refused = 0;
  for (const template of templates) {
    for (const spelling of spellings) {
      const said = errorOf(template.replace('X', () => spelling));
      if (said !== '') refused += 1;
      t.notMatch(said, secret, template);
    }
  }
  t.ok(refused > 80, `${refused} of ${templates.length * 3} were refused`);
});

t.test(
  'no message holds a value under a key for secrets, or the user of a URL, also when it is written out',
  async (t) => {
    const written = templates.filter((template) =>
      /url:|api: [X{]|api: http:\/\/[uh][:?]|X@|[sS]ecret:|set:/.test(template),
    );
    t.equal(written.length, 16);
    for (const template of written) t.notMatch(errorOf(template.replace('X', secret)), secret, template);
  },
);

t.test('the complaints of the YAML parser hold nothing of the text', async (t) => {
  for (const line of [
    `!${secret}`,
    `*${secret}`,
    `@${secret}`,
    `"\\q${secret}`,
    `"${secret}`,
    `${secret}: ${secret}: x`,
  ]) {
    const said = errorOf(`${upstreams}${routes}topUpUrl: ${line}\n`);
    t.match(said, /^gateway\.yaml:[67]:\d+: /, line);
    t.notMatch(said, secret, line);
  }
});

function errorOf(text: string): string {
  const readFile = (): string => `${secret}\n`;
  try {
    parseConfig(text, { file: 'gateway.yaml', env: { SECRET: secret }, readFile });
  } catch (error) {
    if (error instanceof ConfigError) return `${error.message}\n${JSON.stringify(error.problems)}`;
    throw error;
  }
  return '';
}
