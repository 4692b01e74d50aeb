import { createHash } from 'node:crypto';
import t from 'tap';
import { generateKey, hashKey, isWellFormedKey } from '../../src/identity/api-keys.ts';

t.test('a key is tg_, 32 random characters and a checksum; its hash and hint are derived from it', async (t) => {
  const { key, hash, hint } = generateKey();
  t.match(key, /^tg_[0-9A-Za-z]{38}$/);
  t.equal(hash, createHash('sha256').update(key).digest('hex'));
  t.equal(hint, key.slice(0, 9));
  t.equal(hashKey(key), hash);
});

t.test('the checksum is the CRC-32 in base62: it never changes between versions', async (t) => {
  // zlib's CRC-32 of "tg_" and 32 zeros is 0xca0a88e8, in base62 3hOmhk (computed with Python).
  t.ok(isWellFormedKey(`tg_${'0'.repeat(32)}3hOmhk`));
});

t.test('every generated key is well-formed, and no single wrong character goes unseen', async (t) => {
  for (let i = 0; i < 50; i++) t.ok(isWellFormedKey(generateKey().key));
  const { key } = generateKey();
  for (let at = 3; at < key.length; at++) {
    const other = key.charAt(at) === 'a' ? 'b' : 'a';
    t.notOk(isWellFormedKey(key.slice(0, at) + other + key.slice(at + 1)), `position ${at}`);
  }
});

t.test('what is not a key is not well-formed', async (t) => {
  const { key } = generateKey();
  for (const text of [
    '',
    'tg_',
    key.slice(0, -1),
    `${key}0`,
    ` ${key}`,
    `${key}\n`,
    key.toUpperCase(),
    key.replace('_', '-'),
  ])
    t.notOk(isWellFormedKey(text), JSON.stringify(text));
});

t.test('every character comes equally often', async (t) => {
  const counts = new Map<string, number>();
  const keys = 4_000;
  for (let i = 0; i < keys; i++)
    for (const character of generateKey().key.slice(3, 35)) counts.set(character, (counts.get(character) ?? 0) + 1);
  t.equal(counts.size, 62);
  const mean = (keys * 32) / 62;
  // Seven standard deviations: a fair source fails once in some 10^10 runs; `byte % 62` without rejection is 20 % off.
  for (const [character, count] of counts) t.ok(Math.abs(count - mean) < 7 * Math.sqrt(mean), character);
});
