import t from 'tap';
import { loadedWith, violationsOf } from './helpers/house-rules.ts';
import { importsOf, readSources, type Source } from './helpers/sources.ts';

t.test('the sources keep the rules of the house', async (t) => {
  const sources = readSources(['src', 'scripts', 'migrations']);
  t.ok(sources.length > 50, 'the sources are found');
  t.same(violationsOf(sources), []);
});

/** A file that breaks one rule, and how the rule answers. */
const offenders: readonly [rule: string, path: string, code: string, answer: string][] = [
  ['arrows point down', 'src/store/a.ts', "import type { M } from '../meter/meter.ts';", 'store → meter points up'],
  ['core does not know the edge', 'src/meter/a.ts', "import '../gateway/call.ts';", 'meter → gateway points up'],
  [
    'config imports nothing above',
    'src/config/a.ts',
    "import { s } from '../store/users.ts';",
    'config → store points',
  ],
  ['the app does not know the cli', 'src/app.ts', "import { c } from './cli.ts';", 'app → cli points up'],
  ['src does not know scripts', 'src/cli/a.ts', "import { b } from '../../scripts/b.ts';", 'cli → scripts points up'],
  ['src does not know tests', 'src/app.ts', "import { b } from '../test/helpers/b.ts';", 'app → test points up'],
  [
    'edge parts are apart',
    'src/gateway/a.ts',
    "import type { I } from '../identity/identity.ts';",
    'gateway → identity',
  ],
  [
    'the error handler is edge',
    'src/gateway/a.ts',
    "import { e } from '../error-handler.ts';",
    'gateway → error-handler',
  ],
  ['every part has a floor', 'src/attic/a.ts', 'export const a = 1;', 'attic is no part of the house'],
  ['core has no fastify', 'src/meter/a.ts', "import type { F } from 'fastify';", 'this is fastify'],
  ['cli has no undici', 'src/cli/a.ts', "import { request } from 'undici';", 'this is undici'],
  [
    'store has no plugins',
    'src/store/a.ts',
    "import h from '@fastify/http-proxy/x.js';",
    'this is @fastify/http-proxy',
  ],
  ['edge has no kysely', 'src/api/a.ts', "import { sql } from 'kysely';", 'this is kysely'],
  ['cli has no pg', 'src/cli/a.ts', "const pg = await import('pg');", 'this is pg'],
  ['cli requires no pg', 'src/cli/a.ts', "const pg = require('pg');", 'this is pg'],
  ['api has no typebox', 'src/api/a.ts', "import type { Static } from 'typebox';", 'this is typebox'],
  ['schemas have no code of typebox', 'src/schema/a.ts', "import Type from 'typebox';", 'only its types'],
  ['config has no ajv', 'src/config/a.ts', "import { Ajv } from 'ajv';", 'this is ajv'],
  ['a late import is an import', 'src/store/a.ts', "await import('../meter/meter.ts');", 'store → meter points up'],
  [
    'edge opens no database',
    'src/api/a.ts',
    "import { openDatabase } from '../store/database.ts';",
    'call openDatabase',
  ],
  ['edge opens no meter', 'src/api/a.ts', "import * as m from '../meter/open-meter.ts';", 'call openMeter'],
  [
    'edge makes no logger',
    'src/observability/a.ts',
    "import { createLogger as c } from './logger.ts';",
    'createLogger',
  ],
  ['no index.ts', 'src/meter/index.ts', 'export const a = 1;', 'there are no barrels'],
  ['no export *', 'src/meter/a.ts', "export * from './b.ts';", 'there are no barrels'],
  ['no utils.ts', 'src/meter/utils.ts', 'export const a = 1;', 'there is no utils.ts'],
  ['no types.ts', 'scripts/types.ts', 'export type A = 1;', 'there is no types.ts'],
  ['kebab-case', 'src/meter/leaseBook.ts', 'export const a = 1;', 'kebab-case'],
  ['kebab-case in folders', 'src/meter/lease_book/a.ts', 'export const a = 1;', 'kebab-case'],
];

for (const [rule, path, code, answer] of offenders) {
  t.test(`a file that breaks a rule is told: ${rule}`, async (t) => {
    const violations = violationsOf([{ path, text: `// It owns a fault.\n\n${code}\n` }]);
    t.equal(violations.length, 1);
    t.match(violations[0], new RegExp(`^${path}:[13]: `));
    t.ok(violations[0]?.includes(answer), answer);
  });
}

t.test('a file of 300 lines is told, one of 299 is not', async (t) => {
  const fileOf = (lines: number): Source => ({ path: 'src/meter/a.ts', text: `// Long.\n${'\n'.repeat(lines - 1)}` });
  t.same(violationsOf([fileOf(299)]), []);
  t.match(violationsOf([fileOf(300)]), [/^src\/meter\/a\.ts:300: a file has at most 299 lines/]);
});

t.test('a file without an opening comment is told, in src, scripts and migrations', async (t) => {
  for (const path of ['src/app.ts', 'scripts/a.ts', 'migrations/0001_a.ts']) {
    t.match(violationsOf([{ path, text: 'export const a = 1;\n' }]), [/:1: a file opens with a paragraph/]);
  }
  t.same(violationsOf([{ path: 'src/cli.ts', text: '#!/usr/bin/env node\n// The door.\n' }]), []);
});

t.test('folders that import each other through a third are told, each import of the circle', async (t) => {
  const fileIn = (folder: string, target: string): Source => ({
    path: `src/meter/${folder}/a.ts`,
    text: `// One of a circle.\n\nimport { a } from '../${target}/a.ts';\n`,
  });
  const violations = violationsOf([fileIn('a', 'b'), fileIn('b', 'c'), fileIn('c', 'a'), fileIn('d', 'a')]);
  t.equal(violations.length, 3);
  t.match(
    violations[0],
    'src/meter/a/a.ts:3: folders do not import each other in a circle, and src/meter/b leads back',
  );
});

t.test('help loads no library but the parser, and a start only what it needs', async (t) => {
  const sources = readSources(['src', 'migrations']);
  const packagesOf = (path: string) =>
    [...loadedWith(path, sources)].filter((name) => !/^(?:src|migrations|node:)/.test(name));
  t.same(packagesOf('src/cli/run.ts').sort(), ['commander', 'ms']);
  const sometimes = ['@fastify/cookie', '@fastify/oauth2', 'cli-progress', 'csv-parse', 'jose', 'pg', 'pino-pretty'];
  const always = packagesOf('src/app.ts');
  t.ok(always.includes('fastify'), 'the packages are found');
  t.same(
    always.filter((name) => [...sometimes, 'commander', 'typebox'].includes(name)),
    [],
  );
});

t.test(
  'what is loaded with a file is what it imports, and what that imports, but for types and what is loaded later',
  async (t) => {
    const sources = [
      {
        path: 'src/a.ts',
        text: "import './b.ts';\nimport type { C } from './c.ts';\nconst d = () => import('./d.ts');\n",
      },
      { path: 'src/b.ts', text: "import e, { type F } from 'e';\nimport { a } from './a.ts';\n" },
      { path: 'src/c.ts', text: "import 'f';\n" },
      { path: 'src/d.ts', text: "import 'g';\n" },
    ];
    t.same([...loadedWith('src/a.ts', sources)], ['src/a.ts', 'src/b.ts', 'e']);
  },
);

t.test('what points down is allowed, types and values alike', async (t) => {
  const text = [
    '// All of it is in order.',
    "import fastify from 'fastify';",
    "import type { Meter } from '../meter/meter.ts';",
    "import { findUser } from '../store/users.ts';",
    "import { TollgateError } from '../errors.ts';",
    "import type { Config } from '../config/config.ts';\n",
  ].join('\n');
  t.same(violationsOf([{ path: 'src/api/credits.ts', text }]), []);
  t.same(violationsOf([{ path: 'src/cli/a.ts', text: "// Ok.\nimport { a } from '../identity/api-keys.ts';\n" }]), []);
});

t.test('every form of an import is read, with its line and names', async (t) => {
  const text = [
    "// import { no } from './comment.ts';",
    "import a, { b as c, type D } from './one.ts';",
    'import {',
    '  e,',
    '  type F,',
    "} from '../two.ts';",
    "import type G from '@scope/pkg/deep.js';",
    "import * as h from 'node:fs';",
    "import './bare.ts';",
    "export { i } from './three.ts';",
    "const j: import('./four.ts').J = await import('pkg/deep');",
    "const m = require('other/deep');",
    "/** Not `import('./this.ts')`, and",
    " * import { nor } from './this.ts'",
    ' */',
    'export const k = { l: 1 };',
    "declare module 'm' {",
    "  import type { N } from 'n';",
    '}',
  ].join('\n');
  const imports = importsOf({ path: 'src/meter/a.ts', text });
  const read = imports.map(({ line, target, names }) => [line, target, ...names]);
  t.same(read, [
    [2, 'src/meter/one.ts', 'default', 'b', 'D'],
    [3, 'src/two.ts', 'e', 'F'],
    [7, '@scope/pkg', 'default'],
    [8, 'node:fs', '*'],
    [9, 'src/meter/bare.ts'],
    [10, 'src/meter/three.ts', 'i'],
    [11, 'src/meter/four.ts', '*'],
    [11, 'pkg', '*'],
    [12, 'other', '*'],
    [18, 'n', 'N'],
  ]);
  t.same(
    imports.filter(({ isType }) => isType).map(({ line }) => line),
    [7, 18],
    'those of types alone',
  );
  t.same(
    imports.filter(({ isLazy }) => isLazy).map(({ target }) => target),
    ['src/meter/four.ts', 'pkg', 'other'],
    'those that are loaded later',
  );
});

t.test('an import that cannot be read is an error, not a gap', async (t) => {
  for (const text of ['const a = await import(name);', 'const a = require(name);', 'import {\n  b } /* */ from "b"']) {
    t.throws(() => importsOf({ path: 'src/a.ts', text }), {
      message: /^src\/a\.ts:\d: an import that cannot be read$/,
    });
  }
});
