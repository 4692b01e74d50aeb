// Time in the simulation: a queue of events, and the clocks of the instances that read it. An hour passes as fast as
// its events can be worked off; nothing waits for real time.

import type { Clock } from '../../src/clock.ts';

interface Event {
  readonly atMs: number;
  readonly order: number;
  run: (() => void | Promise<void>) | null;
}

/** Events in the order of their time; those of one time in the order in which they were made. */
export class Timeline {
  nowMs = 0;
  readonly #heap: Event[] = [];
  #made = 0;

  /** Runs something after so many milliseconds; the function that is returned calls it off. */
  after(delayMs: number, run: () => void | Promise<void>): () => void {
    this.#made += 1;
    const event: Event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#made, run };
    this.#push(event);
    return () => {
      event.run = null;
    };
  }

  /** Works off the next event up to that time. False when there is none; then it is `untilMs`. */
  async step(untilMs: number): Promise<boolean> {
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= untilMs; first = this.#heap[0]) {
      this.#pop();
      if (first.run === null) continue;
      this.nowMs = first.atMs;
      await first.run();
      return true;
    }
    this.nowMs = untilMs;
    return false;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(event, heap[above])) break;
      heap[at] = heap[above] as Event;
      at = above;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1], heap[below])) below += 1;
      if (!isBefore(heap[below], last)) break;
      heap[at] = heap[below] as Event;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event | undefined, b: Event | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined;
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** The day on which every simulation begins. */
const epochMs = Date.UTC(2026, 0, 1);

/**
 * The clock of one process: begins anywhere, goes a little too fast or too slow, and its time of day jumps. A process that
 * is stopped hears nothing until it goes on; one that has died never again.
 */
export class ProcessClock implements Clock {
  isPaused = false;
  /** Milliseconds by which the time of day is wrong. */
  wrongByMs = 0;
  #isDead = false;
  #fate: { stepsLeft: number; readonly die: () => void } | null = null;
  #missed: (() => void)[] = [];
  readonly #timeline: Timeline;
  readonly #rate: number;
  readonly #startMs: number;

  constructor(timeline: Timeline, rate: number) {
    this.#timeline = timeline;
    this.#rate = rate;
    this.#startMs = timeline.nowMs - 1_000 * rate;
  }

  nowMs(): number {
    return (this.#timeline.nowMs - this.#startMs) * this.#rate;
  }

  date(): Date {
    return new Date(epochMs + this.#timeline.nowMs + this.wrongByMs);
  }

  after(delayMs: number, run: () => void): () => void {
    let isOff = false;
    this.#timeline.after(delayMs / this.#rate, () => this.tell(() => isOff || run()));
    return () => {
      isOff = true;
    };
  }

  atTurnEnd(run: () => void): void {
    this.#timeline.after(0, () => this.tell(run));
  }

  /** Something reaches the process: now, when it goes on, or never. */
  tell(run: () => void): void {
    if (this.#isDead) return;
    if (this.isPaused) this.#missed.push(run);
    else if (this.#fate?.stepsLeft === 0) this.#fate.die();
    else {
      if (this.#fate !== null) this.#fate.stepsLeft -= 1;
      run();
    }
  }

  /** The process dies between two of its steps: after so many. */
  dieAfter(stepsLeft: number, die: () => void): void {
    this.#fate ??= { stepsLeft, die };
  }

  /** It does not die after all. */
  spare(): void {
    this.#fate = null;
  }

  goOn(): void {
    this.isPaused = false;
    // One after another: each is a turn of the process's event loop.
    for (const run of this.#missed.splice(0)) this.#timeline.after(0, () => this.tell(run));
  }

  die(): void {
    this.#isDead = true;
    this.#missed = [];
  }
}

/** Lets everything happen that waits for no time and no database. */
export function drain(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
