import t from 'tap';
import { parse, validate, version } from 'uuid';
import { newId, randomSource } from '../src/ids.ts';

t.test('ids are UUIDv7, each made once, and sort as they were made', async (t) => {
  const ids = Array.from({ length: 5_000 }, newId);
  t.ok(ids.every((id) => validate(id) && version(id) === 7));
  t.equal(new Set(ids).size, ids.length);
  t.same([...ids].sort(), ids);
  const randomTails = new Set(ids.map((id) => id.slice(-10)));
  t.equal(randomTails.size, ids.length, 'what is random in them is drawn anew for each');
});

t.test('an id tells when it was made, to the millisecond', async (t) => {
  const before = Date.now();
  const made = Buffer.from(parse(newId())).readUIntBE(0, 6);
  t.ok(made >= before && made <= Date.now() + 1);
});

t.test('ids go on sorting as they were made when the time of day goes back', async (t) => {
  const { now } = Date;
  t.teardown(() => {
    Date.now = now;
  });
  const first = newId();
  Date.now = () => now() - 3_600_000;
  const second = newId();
  const third = newId();
  t.same([third, second, first].sort(), [first, second, third]);
});

t.test('random bytes are handed out once', async (t) => {
  const source = randomSource(8);
  const pieces = Array.from({ length: 1_000 }, () => source().toString('hex'));
  t.ok(pieces.every((piece) => piece.length === 16));
  t.equal(new Set(pieces).size, pieces.length);
});
