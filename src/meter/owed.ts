// Settled charges until the store has acknowledged them: in memory as far as there is room, all of them in the journal.
// Beyond that room the journal is the queue, and what is on disk alone is read back in the order of settling.

import { Journal, type JournalOptions } from '../journal/journal.ts';
import type { Entry } from '../journal/records.ts';
import type { Charge } from '../store/sync/exchange.ts';
import type { Line } from './line.ts';

/** A charge with the line that it was held in. */
export interface OwedCharge extends Entry {
  readonly line: Line;
  readonly settledAtMs: number;
}

/** So many stay in memory. */
const inMemoryMax = 10_000;
/** When no more than so many are left, what is on disk alone is read back, in pieces. */
const refillBelow = 5_000;
const refillMax = 1_000;

export class Owed {
  readonly journal: Journal;
  #inMemory = new Map<string, OwedCharge>();
  readonly #lineOf: (user: string, key: string) => Line;
  readonly #nowMs: () => number;

  /** `lineOf` finds the line of a lease. Throws what the system says when the journal cannot be opened. */
  constructor(options: JournalOptions, lineOf: (user: string, key: string) => Line) {
    this.#nowMs = () => options.clock.nowMs();
    this.#lineOf = lineOf;
    this.journal = new Journal(options, {
      inMemory: () => this.#inMemory.values(),
      unwritten: (entries) => this.#remember(entries),
    });
  }

  add(charge: Charge, line: Line): void {
    const { journal } = this;
    const isDeferred = journal.fault === null && (journal.deferredCharges > 0 || this.#inMemory.size >= inMemoryMax);
    const entry = journal.append(charge, line.lease.key, isDeferred);
    if (isDeferred) return;
    this.#inMemory.set(charge.id, { n: entry.n, charge, lease: entry.lease, line, settledAtMs: this.#nowMs() });
  }

  /** The store has taken these, or they were set aside. */
  remove(charges: readonly OwedCharge[]): void {
    const gone = new Set(charges);
    // Made anew, for the reason for which there are crowds.
    this.#inMemory = new Map([...this.#inMemory].filter(([, owed]) => !gone.has(owed)));
    this.journal.acknowledge(charges.map(({ n }) => n));
  }

  /** Reads back what is on disk alone as soon as there is room; cheap when there is nothing. */
  refill(): void {
    if (this.journal.deferredCharges === 0 || this.#inMemory.size > refillBelow) return;
    this.#remember(this.journal.readDeferred(refillMax));
  }

  #remember(entries: readonly Entry[]): void {
    const settledAtMs = this.#nowMs();
    for (const entry of entries) {
      const line = this.#lineOf(entry.charge.user, entry.lease);
      this.#inMemory.set(entry.charge.id, { line, settledAtMs, ...entry });
    }
  }

  /** In the order of settling, as far as they are in memory. */
  values(): Iterable<OwedCharge> {
    return this.#inMemory.values();
  }

  /** All of them, wherever they are. */
  get size(): number {
    return this.#inMemory.size + this.journal.deferredCharges;
  }

  /** True when memory holds as many as it may. */
  get isMemoryFull(): boolean {
    return this.#inMemory.size >= inMemoryMax;
  }
}
