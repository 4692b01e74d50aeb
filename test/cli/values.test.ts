import t from 'tap';
import {
  isEmail,
  parseAmount,
  parseCredits,
  parseDuration,
  parseEmail,
  parsePort,
  parseRows,
  parseText,
  parseTime,
} from '../../src/cli/values.ts';

const invalid = { code: 'commander.invalidArgument', message: /^Write .*\.$/ };

t.test('an amount is a positive whole number, written in one way only', async (t) => {
  t.equal(parseAmount('1'), 1);
  t.equal(parseAmount(String(Number.MAX_SAFE_INTEGER)), Number.MAX_SAFE_INTEGER);
  const bad = ['0', '-5', '+5', '1.5', '1e3', '0x10', '007', '1,000', '1_000', ' 1', '1 ', '', 'x', '٣', 'Infinity'];
  for (const text of [...bad, '9007199254740992', '99999999999999999999'])
    t.throws(() => parseAmount(text), invalid, JSON.stringify(text));
});

t.test('a balance to set may be 0', async (t) => {
  t.equal(parseCredits('0'), 0);
  for (const text of ['-0', '-1', '00', '']) t.throws(() => parseCredits(text), invalid, JSON.stringify(text));
});

t.test('rows and ports have their bounds', async (t) => {
  t.equal(parseRows('1000'), 1000);
  for (const text of ['0', '1001']) t.throws(() => parseRows(text), invalid, text);
  t.equal(parsePort('0'), 0);
  t.equal(parsePort('65535'), 65_535);
  t.throws(() => parsePort('65536'), invalid);
});

t.test('a duration has a unit', async (t) => {
  t.equal(parseDuration('0s'), 0);
  t.equal(parseDuration('250ms'), 250);
  t.equal(parseDuration('90d'), 90 * 86_400_000);
  for (const text of ['90', '-1d', '1.5h', '1w', 'd', '', '1 d', '36526d', '999999999d'])
    t.throws(() => parseDuration(text), invalid, JSON.stringify(text));
});

t.test('a time is a day in UTC or has its zone, and exists', async (t) => {
  t.equal(parseTime('2026-01-31'), '2026-01-31T00:00:00.000Z');
  t.equal(parseTime('2026-01-31T12:00:00Z'), '2026-01-31T12:00:00.000Z');
  t.equal(parseTime('2026-01-31T23:30:00-01:00'), '2026-02-01T00:30:00.000Z');
  for (const text of ['2026-02-30', '2026-13-01', '2026-1-1', '2026-01-31T12:00:00', 'yesterday', '', '1700000000'])
    t.throws(() => parseTime(text), invalid, JSON.stringify(text));
});

t.test('an e-mail address has one @ and nothing that could break a line', async (t) => {
  t.equal(parseEmail('Ann+x@b.example'), 'Ann+x@b.example');
  for (const text of ['', 'ann', '@b', 'a@', 'a@b@c', 'a b@c', 'a\n@c', 'a\u202e@c', `${'a'.repeat(250)}@b.example`])
    t.notOk(isEmail(text), JSON.stringify(text));
});

t.test('names and notes are one line', async (t) => {
  t.equal(parseText('Zoë, welcome back'), 'Zoë, welcome back');
  for (const text of ['', '  ', 'a\nb', 'a\u001b[2Jb', 'x'.repeat(201)])
    t.throws(() => parseText(text), invalid, JSON.stringify(text));
});
