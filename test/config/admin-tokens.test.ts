import t from 'tap';
import { ConfigError, parseConfig } from '../../src/config/config.ts';

const base = 'upstreams:\n  api: http://127.0.0.1:9\nroutes:\n  - path: /\n    upstream: api\n';
const [one, other] = ['a'.repeat(32), 'b'.repeat(32)];
const env = { ONE: one, OTHER: other, SHORT: 'hunter2', WITH_BLANK: `${one} ${other}` };

t.test('tokens for operators are taken as they are written', async (t) => {
  const { config, warnings } = read('[{ name: billing, token: ONE }, { name: ops, token: OTHER }]');
  t.same(config.auth.adminTokens, [
    { name: 'billing', token: one },
    { name: 'ops', token: other },
  ]);
  t.same(warnings, []);
  t.same(parseConfig(base, { file: 'g.yaml', env: {} }).config.auth.adminTokens, []);
});

t.test('a token that could be guessed or told apart from no other is refused, and none is shown', async (t) => {
  for (const [tokens, complaint] of [
    ['[{ name: billing, token: SHORT }]', /adminTokens\[0\]\.token is shorter than 32 characters/],
    ['[{ name: billing, token: ONE }, { name: billing, token: OTHER }]', /\[1\]\.name stands in the list already/],
    ['[{ name: billing, token: ONE }, { name: ops, token: ONE }]', /\[1\]\.token stands in the list already/],
    ['[{ name: "two words", token: ONE }]', /\[0\]\.name/],
    ['[{ name: billing, token: WITH_BLANK }]', /\[0\]\.token/],
    ['[{ name: billing }]', /\[0\]\.token/],
  ] as const) {
    const told = errorOf(tokens);
    t.match(told, complaint);
    for (const value of Object.values(env)) t.notOk(told.includes(value), tokens);
  }
});

t.test('a token in clear text is warned of', async (t) => {
  const { warnings } = read(`[{ name: billing, token: ${one} }]`);
  t.match(JSON.stringify(warnings), /adminTokens\[0\]\.token stands in clear text/);
});

/** `tokens` is YAML, in which the names of `env` stand for variables. */
function read(tokens: string) {
  const written = tokens.replaceAll(/\b[A-Z_]{2,}\b/g, (name) => `"\${${name}}"`);
  return parseConfig(`${base}auth:\n  adminTokens: ${written}\n`, { file: 'g.yaml', env });
}

function errorOf(tokens: string): string {
  try {
    read(tokens);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
}
