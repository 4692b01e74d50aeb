// The calls that are not resolved yet. At the end of the process they are waited for, also those whose caller has left
// and whose upstream has not answered; what the limit finds still open is given up and not charged.

import type { Call } from './call.ts';

export class OpenCalls {
  readonly #calls = new Set<Call>();
  #onNone: (() => void)[] = [];

  /** Counts a call until it is resolved. */
  add(call: Call): void {
    this.#calls.add(call);
    call.whenResolved(() => {
      this.#calls.delete(call);
      if (this.#calls.size === 0) for (const tell of this.#onNone.splice(0)) tell();
    });
  }

  /** Resolves when no call is open. Bounded by whoever calls `giveUp`. */
  whenNone(): Promise<void> {
    return this.#calls.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#onNone.push(resolve));
  }

  /** Ends every open call without a charge: it is the gateway that cuts it. */
  giveUp(): void {
    for (const call of [...this.#calls]) call.giveUp();
  }
}
