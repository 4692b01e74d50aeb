import t from 'tap';
import { v7 as uuidv7 } from 'uuid';
import { restMsAfter, retryMsAfter } from '../../src/meter/pace.ts';

t.test(
  'after a quick exchange the next need not wait, after a slow one as long as it took, up to a second',
  async (t) => {
    t.same([0, 15, 100].map(restMsAfter), [0, 0, 0]);
    t.same([101, 400, 1_000, 9_000].map(restMsAfter), [101, 400, 1_000, 1_000]);
  },
);

t.test(
  'after failures the pause doubles, up to a second and a quarter more or less, and is never shorter than the rest',
  async (t) => {
    const instance = uuidv7();
    const pauses = [1, 2, 3, 4, 5, 6, 60].map((failures) => retryMsAfter(failures, 0, instance));
    const [first = 0] = pauses;
    t.ok(first >= 0.75 * 50 && first <= 1.25 * 50);
    t.same(
      pauses.map((pause) => Math.round(pause / first)),
      [1, 2, 4, 8, 16, 20, 20],
    );
    t.equal(retryMsAfter(1, 400, instance), 400);
  },
);
