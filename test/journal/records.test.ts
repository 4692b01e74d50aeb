import t from 'tap';
import { decodeLine, encodeEntry, encodeRecord, entryOf } from '../../src/journal/records.ts';
import { chargeOf } from '../helpers/meters.ts';

t.test('a charge comes back from its line as it was', async (t) => {
  const entry = { n: 7, lease: 'k', charge: { ...chargeOf('c1', 'ü', 5), key: 'k' } };
  const line = encodeEntry(entry);
  t.ok(line.endsWith('\n'));
  t.type(JSON.parse(line), 'object', 'any tool can read it');
  const record = decodeLine(line.trimEnd());
  t.ok(record !== null && 'charge' in record);
  if (record !== null && 'charge' in record) t.same(entryOf(record.charge), entry);
});

t.test('a line of a program that did not note how calls end is read as it is', async (t) => {
  const { ended, ...charge } = chargeOf('c1', 'u', 5);
  t.equal(ended, 'delivered');
  const line =
    '{"crc":"4aa2c7ed","charge":{"n":1,"lease":"","id":"c1","user":"u","key":null,"cost":5,"route":"r","status":200,"requestId":"q","at":"2026-01-02T03:04:05.678Z"}}';
  const record = decodeLine(line);
  t.same(record !== null && 'charge' in record && entryOf(record.charge), { n: 1, lease: '', charge });
});

t.test('a line with one changed character anywhere is told from a good one', async (t) => {
  const line = encodeRecord({ posted: [[1, 20]] }).trimEnd();
  t.ok(decodeLine(line));
  for (let at = 0; at < line.length; at++) {
    const changed = `${line.slice(0, at)}${line[at] === '#' ? '+' : '#'}${line.slice(at + 1)}`;
    t.equal(decodeLine(changed), null, changed);
  }
  for (let length = 0; length < line.length; length++) t.equal(decodeLine(line.slice(0, length)), null);
});
