// What time it is for the meter and its journal, and their only way to wait: one place, so that a simulation can let an hour pass in a
// second. Spans are told by a clock that only goes forward; the time of day is for people to read, and may jump.

export interface Clock {
  /** Whole milliseconds since some moment: V8 keeps those in place, and makes an object of each fraction. Never goes back. */
  nowMs(): number;
  /** The time of day. */
  date(): Date;
  /** Runs something once, later; the function that is returned calls it off. */
  after(delayMs: number, run: () => void): () => void;
  /** Runs something at the end of this turn of the event loop, when all that arrived has been worked in. */
  atTurnEnd(run: () => void): void;
}

export const systemClock: Clock = {
  nowMs: () => Math.floor(performance.now()),
  date: () => new Date(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  atTurnEnd: (run) => void setImmediate(run),
};
