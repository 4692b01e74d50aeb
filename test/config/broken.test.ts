// Broken variants of the example. Each names what it changes and all that must be said about it: the place is where
// `at` stands in the broken text, so that the example can be edited without counting lines here.

import t from 'tap';
import { ConfigError, parseConfig } from '../../src/config/config.ts';
import { activate, exampleEnv, exampleText, findSections } from './example-file.ts';

const full = activate(exampleText, findSections(exampleText));

interface Broken {
  readonly name: string;
  readonly edits: readonly (readonly [from: string, to: string])[];
  readonly says: readonly (readonly [at: string, text: string])[];
}

const chatRoute = `  - path: /v1/chat
    name: chat
    methods: [POST]
    upstream: api`;

const variants: readonly Broken[] = [
  {
    name: 'mistyped keys, each with the nearest known one',
    edits: [
      ['shutdownTimeout:', 'shutdownTimout:'],
      ['poolSize:', 'pollSize:'],
      ['topUpUrl:', 'website:'],
      ['  exact:', '  exat:'],
    ],
    says: [
      ['exat:', 'routes[2].exat is not a known key. Perhaps exact is meant.'],
      ['shutdownTimout:', 'server.shutdownTimout is not a known key. Perhaps shutdownTimeout is meant.'],
      ['pollSize:', 'database.pollSize is not a known key. Perhaps poolSize is meant.'],
      [
        'website:',
        'website is not a known key. Known here: server, ops, log, database, dataDir, journal, plans, defaultPlan, topUpUrl, ' +
          'auth, cors, upstreams, routes.',
      ],
    ],
  },
  {
    name: 'values of the wrong type or out of range',
    edits: [
      ['cost: 10', 'cost: ten'],
      ['port: 8081', 'port: "8081"'],
      ['level: info', 'level: inof'],
      ['poolSize: 10', 'poolSize: 0'],
      ['migrate: true', 'migrate: yes'],
      ['startingCredits: 50000', 'startingCredits: 9007199254740993'],
    ],
    says: [
      ['ten\n', 'routes[1].cost is "ten". Write a whole number from 0 to 1000000000000, for example 10.'],
      ['"8081"', 'ops.port is text, because "8081" stands in quotes. Remove the quotes.'],
      [
        'inof',
        'log.level is "inof". Write one of fatal, error, warn, info, debug, trace, silent. Perhaps info is meant.',
      ],
      ['0\n  migrate', 'database.poolSize is 0. Write a whole number from 1 to 1000, for example 10.'],
      ['yes', 'database.migrate is "yes". Write true or false.'],
      [
        '9007199254740993',
        'plans.Pro.startingCredits is 9007199254740992. Write a whole number from 0 to 9007199254740991, for example 50000.',
      ],
    ],
  },
  {
    name: 'references to what is not there',
    edits: [
      [chatRoute, chatRoute.replace('upstream: api', 'upstream: apis')],
      ['defaultPlan: Pro', 'defaultPlan: Enterprise'],
    ],
    says: [
      ['apis', 'routes[1].upstream is "apis", which is no upstream. Perhaps api is meant.'],
      ['Enterprise', 'defaultPlan is "Enterprise", which is no plan. Known here: Basic, Pro.'],
    ],
  },
  {
    name: 'paths that cannot be matched',
    edits: [
      ['path: /v1/chat', 'path: v1/chat'],
      ['rewritePrefix: /v2/chat', 'rewritePrefix: /v2/../chat'],
      ['path: /health', 'path: /_Tollgate/health'],
      ['path: /partner', 'path: /partner?x=1'],
    ],
    says: [
      [
        'v1/chat\n',
        'routes[1].path is "v1/chat". Write a path that begins with / and has at most 256 characters, others than plain ' +
          'ASCII percent-encoded, for example /v1/chat.',
      ],
      ['/v2/../chat', 'routes[1].rewritePrefix has a dot segment. Write the path that the dots lead to.'],
      ['/_Tollgate', "routes[2].path lies under /_tollgate, which is the gateway's own. Choose another path."],
      ['/partner?', 'routes[3].path holds a query or a fragment. Write the path alone: queries are always forwarded.'],
    ],
  },
  {
    name: 'routes that claim the same calls',
    edits: [
      ['path: /health', 'path: /v1/chat'],
      ['exact: true', 'methods: [GET, POST]'],
      ['auth: none', 'name: chat'],
      ['path: /partner', 'path: /V1/chat/'],
    ],
    says: [
      [
        '/v1/chat\n    methods',
        'routes[2].path is the path of routes[1] too, with POST. Remove one of the two, or give them different methods.',
      ],
      ['chat\n\n  # A route', 'routes[2].name is the name of routes[1] too. Choose another.'],
      [
        '/V1/chat/',
        'routes[3].path differs from the path of routes[1] in case or escapes alone. Write one of the two: calls that ' +
          'both could take are refused.',
      ],
    ],
  },
  {
    name: 'ways to call that are not there',
    edits: [
      ['methods: [POST]', 'methods: [PSOT, GET]'],
      ['auth: none', 'auth: none\n    cost: 0'],
      ['cost: 10', 'auth: [sesion]'],
      ['  upstream: api\n    cost: 1\n', '  upstream: api\n    auth: session\n'],
    ],
    says: [
      ['session', 'routes[0].auth is "session". Write [key, bearer, session], some of the three, or none.'],
      ['PSOT', 'routes[1].methods[0] is "PSOT", which is no method here. Perhaps POST is meant.'],
      ['sesion]', 'routes[1].auth[0] is "sesion". Write key, bearer or session. Perhaps session is meant.'],
      ['0\n\n  # A route', 'routes[2].cost stands beside auth: none, which is free. Remove one of the two.'],
    ],
  },
  {
    name: 'header rules for fields that are not the operator’s',
    edits: [
      ['Authorization: Bearer', 'Host: example.com\n          X-Credits-Cost: 7\n          Authorization: Bearer'],
      ['remove: [X-Debug]', 'remove: [authorization, "a b"]'],
      ['remove: [Server]', 'remove: [Transfer-Encoding, X_Tollgate_Error]'],
    ],
    says: [
      [
        'example.com\n',
        "routes[3].headers.request.set.Host names a field that is the gateway's own. Leave it to the gateway.",
      ],
      [
        '7\n          Auth',
        "routes[3].headers.request.set.X-Credits-Cost names a field that is the gateway's own. Leave it to the gateway.",
      ],
      [
        'authorization, "a b"',
        'routes[3].headers.request.remove[0] names a field that has a rule already. Keep one of the two.',
      ],
      [
        '"a b"',
        'routes[3].headers.request.remove[1] is "a b". Write the name of a header field, for example X-Api-Version.',
      ],
      [
        'Transfer-Encoding',
        "routes[3].headers.response.remove[0] names a field that is the gateway's own. Leave it to the gateway.",
      ],
      [
        'X_Tollgate_Error',
        "routes[3].headers.response.remove[1] names a field that is the gateway's own. Leave it to the gateway.",
      ],
    ],
  },
  {
    name: 'an upstream that cannot be reached as it is written',
    edits: [
      [
        'api: http://127.0.0.1:4000',
        'api:\n    targets: [ftp://h, http://h]\n    connectTimeout: 5\n    tls:\n      ca: none.pem\n  b c: https://h?x=1',
      ],
    ],
    says: [
      ['[ftp', 'upstreams.api.targets has 2 items, which is more than 1. Write a list with one URL.'],
      [
        '5\n    tls',
        'upstreams.api.connectTimeout is "5". Write a number from 1 with its unit (ms, s, m, h or d), for example 250ms.',
      ],
      [
        'none.pem',
        'upstreams.api.tls.ca names a file that does not exist. Name a PEM file that begins with BEGIN CERTIFICATE.',
      ],
      [
        'b c:',
        'upstreams has the name "b c", which cannot be used. Write a name of letters, digits, - and _, at most 64.',
      ],
      [
        'https://h?x=1',
        'upstreams["b c"] has a value that does not fit. Write a URL without user, query or fragment, or a mapping with ' +
          'targets, for example http://127.0.0.1:4000.',
      ],
    ],
  },
  {
    name: 'variables that are not set, and two listeners on one port',
    edits: [
      [`\${PARTNER_TOKEN}`, `\${PARTNER_KEY}`],
      ['level: info', 'level: ${'],
      ['port: 8081', 'port: 8080'],
    ],
    says: [
      [
        'Bearer',
        'routes[3].headers.request.set.Authorization needs the variable PARTNER_KEY, which is not set. ' +
          `Set PARTNER_KEY, or write \${PARTNER_KEY:-default}.`,
      ],
      ['8080\n\n# What is logged', 'ops.port is the same for server and ops. Give the two listeners different ports.'],
      [
        '${\n',
        'log.level has a dollar and brace that begin no variable. Write a name, NAME:-default or file:PATH within the ' +
          'braces, or $$ for a dollar that is meant as one.',
      ],
    ],
  },
  {
    name: 'keys written twice, sections that are lists, keys that are missing or empty',
    edits: [
      [chatRoute, chatRoute.replace('    upstream: api', '    name: other')],
      ['log:\n  level: info\n  format: pretty', 'log: [info]'],
      ['dataDir: /var/lib/tollgate', 'dataDir:'],
      ['headers: [authorization, x-api-key]', 'headers: []'],
    ],
    says: [
      ['path: /v1/chat', 'routes[1].upstream is missing. Write some text on one line, for example api.'],
      ['name: other', 'routes[1].name is written twice. Keep one of the two.'],
      ['[]', 'auth.apiKeys.headers is empty. Write a list of 1 to 8 header fields.'],
      ['[info]', 'log is a list. Write its keys below it, indented, one a line.'],
      [
        '\n\n# The journal keeps',
        'dataDir is empty. Write some text on one line, for example data, or remove the key.',
      ],
    ],
  },
  {
    name: 'a variable without quotes within braces',
    edits: [[`  port: \${PORT:-8080}`, `  tls: { port: \${PORT} }`]],
    says: [['{PORT}', 'The text is not well-formed YAML. Within { } and [ ], put a variable in quotes.']],
  },
  {
    name: 'a tab, a tag, and a second document',
    edits: [
      ['  level: info', '\tlevel: info'],
      ['defaultPlan: Pro', 'defaultPlan: !Pro'],
    ],
    says: [
      ['\tlevel', 'A tab is used to indent. Use spaces.'],
      ['!Pro', 'A value begins with !, which YAML takes for a tag. Put the value in quotes if its ! is meant as text.'],
    ],
  },
];

for (const { name, edits, says } of variants) {
  t.test(`all is said at once about ${name}`, async (t) => {
    const text = edits.reduce((edited, [from, to]) => {
      t.equal(edited.split(from).length, 2, `${from} stands once in the example`);
      return edited.replace(from, () => to);
    }, full);
    t.same(
      problemsOf(text),
      says.map(([at, said]) => `gateway.yaml:${placeOf(text, at)}: ${said}`),
    );
  });
}

t.test('a file that is no configuration at all is answered with what to write', async (t) => {
  const begin = 'upstreams and routes, as in gateway.example.yaml';
  for (const text of ['', '# nothing\n', '---\n']) {
    t.match(problemsOf(text).join(), /gateway.yaml:1:1: (The file is empty|upstreams is missing)/, text);
  }
  t.same(problemsOf('- a\n'), [`gateway.yaml:1:1: The file is a list. Write ${begin}.`]);
  t.same(problemsOf('text'), [`gateway.yaml:1:1: The file is a single value. Write ${begin}.`]);
  t.match(problemsOf('a: 1\n---\nb: 2\n'), [/^gateway\.yaml:2:1: The file holds more than one document\. /]);
  t.match(problemsOf('['.repeat(100_000)), [/^gateway\.yaml:1:\d+: The file is nested too deeply\. /]);
  t.match(problemsOf('#'.repeat(2 ** 20 + 1)), [/^gateway\.yaml:1:1: The file is larger than 1 MiB\. /]);
});

t.test('aliases cannot make a small file a large one', async (t) => {
  const names = Array.from({ length: 1000 }, (_, index) => `x-${index}`).join(', ');
  const routes = Array.from({ length: 999 }, () => '  - { path: /, upstream: a, headers: *h }\n').join('');
  const text = `upstreams:\n  a: http://h\nroutes:\n  - { path: /, upstream: a, headers: &h { request: { remove: [${names}] } } }\n${routes}`;
  t.match(problemsOf(text).join('\n'), /makes the file too large\. Use fewer aliases\./);
});

function problemsOf(text: string): string[] {
  try {
    parseConfig(text, { file: 'gateway.yaml', env: exampleEnv });
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

function placeOf(text: string, at: string): string {
  const before = text.slice(0, text.indexOf(at)).split('\n');
  return `${before.length}:${(before.at(-1) ?? '').length + 1}`;
}
