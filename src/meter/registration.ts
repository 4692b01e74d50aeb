// Whether this instance is entered in the store, and what keeps it from that: an outage passes, but tables of another program
// or a wrong password do not.

import type { BaseLogger } from 'pino';
import { isOutage } from '../store/outage.ts';
import type { StoreDoor } from '../store/sync/door.ts';

export class Registration {
  readonly #store: Pick<StoreDoor, 'register'>;
  readonly #log: Pick<BaseLogger, 'error'>;
  readonly #firstOfAll: () => Promise<void>;
  #entered: string | null = null;
  #fault: unknown = null;

  /** `firstOfAll` is done before the first instance counts as entered. */
  constructor(store: Pick<StoreDoor, 'register'>, log: Pick<BaseLogger, 'error'>, firstOfAll: () => Promise<void>) {
    this.#store = store;
    this.#log = log;
    this.#firstOfAll = firstOfAll;
  }

  /** Whether the database answers and cannot be used. */
  get isRefused(): boolean {
    return this.#fault !== null;
  }

  /** Enters the instance, unless that is done. Rejects as the store does; what waiting does not mend is told once. */
  async enter(instance: string): Promise<void> {
    if (this.#entered === instance) return;
    try {
      await this.#store.register(instance);
      await this.#firstOfAll();
      this.#entered = instance;
      this.#fault = null;
    } catch (error) {
      const fault = isOutage(error) ? null : error;
      if (fault !== null && this.#fault === null) this.#log.error({ err: fault }, 'the database cannot be used');
      this.#fault = fault;
      throw error;
    }
  }
}
