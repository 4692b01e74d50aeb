// The calls that are not resolved yet. At the end of the process they are waited for, also those whose caller has left
// and whose upstream has not answered; what the limit finds still open is given up and not charged. Until then, callers
// that neither read nor send are not waited for beyond the limit of their route.

import { Crowd } from '../crowd.ts';
import type { Call } from './call.ts';

/** How often the calls are looked through for callers that have stalled. */
const lookEveryMs = 500;

export class OpenCalls {
  readonly #calls = new Crowd<Call>();
  #onNone: (() => void)[] = [];
  #looking: NodeJS.Timeout | null = null;

  /** Counts a call until it is resolved. */
  add(call: Call): void {
    this.#calls.add(call);
    this.#looking ??= setInterval(() => this.#endStalls(), lookEveryMs).unref();
    call.whenResolved(() => {
      this.#calls.delete(call);
      if (this.#calls.size === 0) for (const tell of this.#onNone.splice(0)) tell();
    });
  }

  /** Resolves when no call is open. Bounded by whoever calls `giveUp`. */
  whenNone(): Promise<void> {
    return this.#calls.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#onNone.push(resolve));
  }

  /** One look at all calls, twice a second, costs less than a timer for each. */
  #endStalls(): void {
    if (this.#calls.size === 0 && this.#looking !== null) {
      clearInterval(this.#looking);
      this.#looking = null;
    }
    const nowMs = performance.now();
    for (const call of [...this.#calls.values()]) call.endStall(nowMs);
  }

  /** Ends every open call without a charge: it is the gateway that cuts it. */
  giveUp(): void {
    for (const call of [...this.#calls.values()]) call.giveUp('cut by the end of the gateway');
  }
}
