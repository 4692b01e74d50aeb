// Looks over the books all the time, a few users at a time: the sum by which balances differ from their ledger. It
// trades freshness for cost; `tollgate audit` does the same at once.

import type { Logger } from 'pino';
import type { Db } from '../store/database.ts';
import { type Difference, lookOverBalances } from '../store/history.ts';

/** One look: so many users, of each so many entries. On SQLite it stands in the way of calls. */
const look = { users: 10, entriesMax: 5_000 };
const pauseMs = 1_000;
/** A round through all users takes at least so long. */
const roundMinMs = 5_000;

export class DriftWatch {
  readonly #db: Db;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  /** The last user looked at in the round under way, '' before its first look. */
  #after = '';
  #nextRoundAtMs = 0;
  /** What differed in this round and in the last: a difference is logged when it is new, not in every round. */
  #differences = new Map<string, number>();
  #differencesBefore = new Map<string, number>();
  /** Of the round under way, and of the last whole one. */
  #found = 0;
  #drift = 0;

  constructor(db: Db, log: Logger) {
    this.#db = db;
    this.#log = log;
  }

  /** Credits; what the round under way has found counts already. */
  get drift(): number {
    return Math.max(this.#drift, this.#found);
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().finally(() => {
        this.#looking = null;
        if (this.#timer !== null) this.start();
      });
    }, pauseMs);
    this.#timer.unref();
  }

  /** Ends when the look under way has. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#looking;
  }

  async #look(): Promise<void> {
    if (this.#after === '') {
      const nowMs = performance.now();
      if (nowMs < this.#nextRoundAtMs) return;
      this.#nextRoundAtMs = nowMs + roundMinMs;
    }
    try {
      const { last, differences } = await lookOverBalances(this.#db, this.#after, look);
      for (const difference of differences) this.#report(difference);
      this.#after = last ?? '';
      if (last === null) this.#endRound();
    } catch (error) {
      this.#log.debug({ err: error }, 'the books could not be looked over');
    }
  }

  #report({ userId: user, credits, ledger }: Difference): void {
    const difference = credits - ledger;
    this.#found += Math.abs(difference);
    this.#differences.set(user, difference);
    if (this.#differencesBefore.get(user) === difference) return;
    this.#log.error({ user, credits, ledger }, 'a balance is not the sum of its ledger; see tollgate audit');
  }

  #endRound(): void {
    this.#drift = this.#found;
    this.#found = 0;
    this.#differencesBefore = this.#differences;
    this.#differences = new Map();
  }
}
