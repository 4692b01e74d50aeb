import t from 'tap';
import { isStoreTrouble, obstaclesOf, type ReadinessFacts, warningsOf } from '../../src/observability/readiness.ts';

const well: ReadinessFacts = {
  state: { isStoreUp: true, isStoreUnusable: false, journalFault: null },
  isClosing: false,
  isServedWhenDown: true,
};
const down = { ...well, state: { ...well.state, isStoreUp: false } };

t.test('a database that is down is a warning where calls are served without it, else an obstacle', async (t) => {
  const silent = ['the database does not answer'];
  t.same([obstaclesOf(well), warningsOf(well)], [[], []]);
  t.same([obstaclesOf(down), warningsOf(down)], [[], silent]);
  const refusing = { ...down, isServedWhenDown: false };
  t.same([obstaclesOf(refusing), warningsOf(refusing)], [silent, []]);
  t.same(obstaclesOf({ ...refusing, isClosing: true }), ['shutting down', ...silent]);
});

t.test('that a database is down is told from other obstacles, whoever has it', async (t) => {
  for (const isStoreUnusable of [false, true]) {
    const [trouble = ''] = obstaclesOf({ ...down, state: { ...down.state, isStoreUnusable }, isServedWhenDown: false });
    t.equal(isStoreTrouble(`worker 3: ${trouble}`), true);
  }
  t.equal(isStoreTrouble('worker 3 does not answer'), false);
  t.equal(isStoreTrouble('shutting down'), false);
});
