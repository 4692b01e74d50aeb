import t from 'tap';
import { Segments } from '../../src/journal/segments.ts';

const mebibyte = 2 ** 20;

t.test('a file that is in use or owed something does not go, however old it is', async (t) => {
  const segments = new Segments('f');
  const [done, owed, inUse] = [segments.add(0), segments.add(0), segments.add(0)];
  Object.assign(owed, { first: 1, last: 2 });
  segments.acknowledge([1], 0);
  t.same(segments.takeOld(inUse, 3_600_000), [done.path]);
  segments.acknowledge([2], 3_600_000);
  t.same(segments.takeOld(inUse, 3_600_000), []);
  t.same(segments.takeOld(inUse, 2 * 3_600_000), [owed.path]);
});

t.test('what is kept for nobody takes no more than 256 MiB', async (t) => {
  const segments = new Segments('f');
  const all = Array.from({ length: 5 }, () => Object.assign(segments.add(0), { bytes: 100 * mebibyte }));
  t.same(
    segments.takeOld(all[4] ?? null, 0),
    all.slice(0, 2).map(({ path }) => path),
    'the oldest go',
  );
});

t.test('a charge that was written twice is owed in both places until it is acknowledged', async (t) => {
  const segments = new Segments('f');
  Object.assign(segments.add(0), { first: 1, last: 1, bytes: 10 });
  segments.add(0).again.add(1);
  t.equal(segments.areAllDone, false);
  t.equal(segments.owedBytes, 10);
  segments.acknowledge([1], 0);
  t.equal(segments.areAllDone, true);
  t.equal(segments.owedBytes, 0);
});
