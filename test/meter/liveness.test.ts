import t from 'tap';
import { Liveness } from '../../src/meter/liveness.ts';

/** A clock whose timers run when they are told to, however late that is. */
function openClock() {
  let nowMs = 0;
  const timers = new Map<number, () => void>();
  let made = 0;
  const clock = {
    nowMs: () => nowMs,
    date: () => new Date(nowMs),
    after: (_delayMs: number, run: () => void) => {
      made += 1;
      const id = made;
      timers.set(id, run);
      return () => void timers.delete(id);
    },
    atTurnEnd: () => {},
  };
  const passTo = (ms: number) => {
    nowMs = ms;
    const due = [...timers];
    timers.clear();
    for (const [, run] of due) run();
  };
  const at = (ms: number) => {
    nowMs = ms;
  };
  return { clock, passTo, at, timers };
}

t.test('a store that fails is down two seconds after its last answer, and up with the next', async (t) => {
  const { clock, at } = openClock();
  const liveness = new Liveness(clock);
  t.equal(liveness.secondsSinceAnswer, null, 'before the first');
  liveness.answered();
  at(1_000);
  liveness.failed();
  at(1_999);
  t.equal(liveness.isUp, true);
  at(2_000);
  t.equal(liveness.isUp, false);
  t.equal(liveness.failures, 1);
  t.equal(liveness.silentMs, 2_000);
  t.equal(liveness.secondsSinceAnswer, 2);
  liveness.answered();
  t.equal(liveness.isUp, true);
  t.equal(liveness.failures, 0);
});

t.test('a store that was not asked is not down, however long that is', async (t) => {
  const { clock, at } = openClock();
  const liveness = new Liveness(clock);
  liveness.answered();
  at(60_000);
  t.equal(liveness.isUp, true);
});

t.test('a store that was asked and says nothing is down after two seconds, until there is an end to it', async (t) => {
  const { clock, passTo, timers } = openClock();
  const liveness = new Liveness(clock);
  liveness.answered();
  let hangs = 0;
  const end = liveness.asked(() => {
    hangs += 1;
  });
  passTo(2_000);
  t.equal(liveness.isUp, false);
  t.equal(hangs, 1);
  end();
  t.equal(liveness.isUp, true);
  const endNext = liveness.asked(() => t.fail('that has ended'));
  endNext();
  t.equal(timers.size, 0);
});

t.test('a process that stood still gives the store its two seconds once more', async (t) => {
  const { clock, passTo, at } = openClock();
  const liveness = new Liveness(clock);
  liveness.answered();
  let hangs = 0;
  const end = liveness.asked(() => {
    hangs += 1;
  });
  passTo(15_000);
  t.equal(liveness.isUp, true, 'what has arrived meanwhile is read first');
  liveness.failed();
  at(16_999);
  t.equal(liveness.isUp, true, 'nor is what was given up on its own time-out an outage yet');
  passTo(17_000);
  t.equal(liveness.isUp, false);
  t.equal(hangs, 1);
  end();
  t.equal(liveness.isUp, false, 'it has failed');
});
