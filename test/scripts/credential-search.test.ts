import t from 'tap';
import { indexCredentials, leaksIn } from '../../scripts/test/credential-search.ts';

const key = 'tg_0123456789abcdefghijKLMNOPQRST';
const token = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl-_x';
const secret = 'the secret: "of" a+test/é';

function linesWith(log: string, ...credentials: string[]): string[] {
  return leaksIn(log, indexCredentials(credentials)).map(({ line }) => line);
}

t.test('a credential is found wherever it stands in the log, and shown by its beginning alone', async (t) => {
  t.same(linesWith(`{"msg":"ok"}\n{"a":"${key}","b":1}\n{"c":2}\n`, key, token), ['{"a":"[tg_01234…]","b":1}']);
  t.same(linesWith(key, key), ['[tg_01234…]']);
  t.same(linesWith(`\n${key}`, key), ['[tg_01234…]']);
  t.same(linesWith(`${key}\n${key}\n`, key), ['[tg_01234…]', '[tg_01234…]']);
  t.same(leaksIn(`a ${key}`, indexCredentials([key])), [{ hints: ['tg_01234'], line: 'a [tg_01234…]' }]);
});

t.test('a credential is found next to other characters of a word, and after its own beginning', async (t) => {
  t.same(linesWith(`x${key}y`, key), ['x[tg_01234…]y']);
  t.same(linesWith(`tg_tg_01${key}${key}`, key), ['tg_tg_01[tg_01234…][tg_01234…]']);
});

t.test('a credential is found as JSON, a URL and a form spell it', async (t) => {
  for (const written of [JSON.stringify(secret), encodeURIComponent(secret), `${new URLSearchParams({ s: secret })}`]) {
    t.match(linesWith(`<${written}>`, secret), [/^<(?:"|s=)?\[the secr…\]"?>$/], written);
  }
});

t.test('all credentials of a line are cut, also one within another and two that overlap', async (t) => {
  t.same(linesWith(`${token} and ${key}\n`, key, token), ['[eyJhbGci…] and [tg_01234…]']);
  const [outer, inner, beside] = [`outer ${key}`, key, `${key.slice(5)} and more`];
  t.same(leaksIn(`(outer ${key} and more)`, indexCredentials([inner, beside, outer])), [
    { hints: ['outer tg', 'tg_01234', '23456789'], line: '([outer tg…])' },
  ]);
});

t.test('what is not a whole credential is none', async (t) => {
  const log = `${key.slice(0, -1)}\n${key.slice(1)}\n${key.toLowerCase()}\n${key.slice(0, 20)}\n${key.slice(20)}\n`;
  t.same(linesWith(log, key), []);
  t.same(linesWith('', key), []);
  t.same(linesWith(log), []);
});

t.test('a credential that could stand in a log by chance is refused', async (t) => {
  t.throws(() => indexCredentials(['x'.repeat(15)]), /of 15 characters is too short/);
  t.same(linesWith('x'.repeat(16), 'x'.repeat(16)), ['[xxxxxxxx…]']);
});

t.test('five thousand credentials are looked for in twenty megabytes within seconds', async (t) => {
  const credentials = Array.from({ length: 5_000 }, (_, i) => `${token.repeat(1 + (i % 40))}${i}`);
  const line = `{"level":"info","time":"2026-01-31T12:00:00.000Z","path":"/${token}","ms":1.234}\n`;
  const log = line.repeat(Math.ceil((20 * 1024 * 1024) / line.length)) + credentials.at(-1);
  const startedAt = performance.now();
  t.equal(linesWith(log, ...credentials).length, 1);
  const ms = Math.round(performance.now() - startedAt);
  t.comment(`${ms} ms`);
  t.ok(ms < 10_000, `${ms} ms`);
});
