import t from 'tap';
import { pauseBefore } from '../../src/workers/back-off.ts';

t.test(
  'a worker that ends is replaced at once, and the later the oftener it ends, by half a minute at most',
  async (t) => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1_000].map(pauseBefore);
    t.same(pauses, [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  },
);
