import t from 'tap';
import { Ranges, rangesOf } from '../../src/journal/ranges.ts';
import { randomFrom } from '../helpers/random.ts';

t.test('a set of ranges holds what was added, and nothing else', async (t) => {
  const random = randomFrom(7);
  const numbers = new Set<number>();
  const ranges = new Ranges();
  for (let round = 0; round < 300; round++) {
    const from = random.below(400);
    const to = from + random.below(5);
    ranges.add([from, to]);
    for (let n = from; n <= to; n++) numbers.add(n);
    const wrong = Array.from({ length: 410 }, (_, n) => n).filter((n) => ranges.has(n) !== numbers.has(n));
    if (wrong.length > 0) t.same(wrong, [], `after ${from} to ${to}`);
  }
  t.ok(numbers.size > 300);
});

t.test('numbers in a row make one range', async (t) => {
  t.same(rangesOf([3, 1, 2, 9, 7, 8, 20]), [
    [1, 3],
    [7, 9],
    [20, 20],
  ]);
});
