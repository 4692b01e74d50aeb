// A clock that a test turns by hand: nothing happens before it says so.

import type { Clock } from '../../src/clock.ts';

export interface HandClock extends Clock {
  /** Ends this turn of the event loop. */
  endTurn(): void;
  /** Lets time pass, with what falls due in it, each in a turn of its own. */
  pass(ms: number): void;
}

export function handClock(): HandClock {
  let nowMs = 0;
  let timers: { dueMs: number; run: () => void }[] = [];
  const turn: (() => void)[] = [];
  const endTurn = () => {
    for (const run of turn.splice(0)) run();
  };
  return {
    nowMs: () => nowMs,
    date: () => new Date(Date.UTC(2026, 0, 2) + nowMs),
    after: (delayMs, run) => {
      const timer = { dueMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    atTurnEnd: (run) => void turn.push(run),
    endTurn,
    pass: (ms) => {
      const untilMs = nowMs + ms;
      for (;;) {
        const [next] = timers.filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs);
        if (next === undefined) break;
        timers = timers.filter((other) => other !== next);
        nowMs = Math.max(nowMs, next.dueMs);
        next.run();
        endTurn();
      }
      nowMs = untilMs;
    },
  };
}
