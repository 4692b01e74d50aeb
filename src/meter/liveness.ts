// Whether the store answers. It is down when it was asked, in vain or with no word yet, and nobody has heard from it for two
// seconds. A process that stood still itself, as when its machine was paused, knows nothing of that time: what has arrived
// meanwhile is read first.

import type { Clock } from '../clock.ts';

/** Without a word for so long the store counts as down. */
const downAfterMs = 2_000;
/** Who hears a timer so late has stood still. */
const stoodStillMs = 1_000;

export class Liveness {
  readonly #clock: Clock;
  /** The clock's milliseconds at the last answer. */
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #awakeSinceMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  /** What was asked has not been answered for too long. */
  #isHanging = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isUp(): boolean {
    if (this.#isHanging) return false;
    if (this.#failures === 0) return true;
    return this.#clock.nowMs() - Math.max(this.#heardAtMs, this.#awakeSinceMs) < downAfterMs;
  }

  /** In a row. */
  get failures(): number {
    return this.#failures;
  }

  /** The time since the last answer, in milliseconds. */
  get silentMs(): number {
    return this.#clock.nowMs() - this.#heardAtMs;
  }

  /** Null before the first answer. */
  get secondsSinceAnswer(): number | null {
    const { silentMs } = this;
    return Number.isFinite(silentMs) ? silentMs / 1000 : null;
  }

  /** Something is asked; `hang` runs when the answer takes too long. Call what it returns as soon as there is an end to it. */
  asked(hang: () => void): () => void {
    let callOff = () => {};
    const watch = () => {
      const startMs = this.#clock.nowMs();
      callOff = this.#clock.after(downAfterMs, () => {
        const nowMs = this.#clock.nowMs();
        if (nowMs - startMs > downAfterMs + stoodStillMs) {
          this.#awakeSinceMs = nowMs;
          watch();
          return;
        }
        this.#isHanging = true;
        hang();
      });
    };
    watch();
    return () => {
      callOff();
      this.#isHanging = false;
    };
  }

  answered(): void {
    this.#failures = 0;
    this.#heardAtMs = this.#clock.nowMs();
  }

  failed(): void {
    this.#failures += 1;
  }
}
