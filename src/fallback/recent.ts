// Facts by name, each with the time at which it was noted: of the last day, and no more than so many. Walking through them
// goes from the oldest to the newest, and may go on while they change. What was noted here ages by a clock that only goes
// forward: a time of day that jumps ends nothing. What comes from elsewhere has nothing but its time of day.

import type { Clock } from '../clock.ts';

export interface Dated {
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

interface Kept<T> {
  readonly fact: T;
  /** When it was noted, by the clock that only goes forward. */
  readonly sinceMs: number;
}

const ageMaxMs = 24 * 60 * 60_000;

export class Recent<T extends Dated> {
  /** A Map walks in the order of adding: the first is the one that was noted longest ago. */
  readonly #kept = new Map<string, Kept<T>>();
  readonly #max: number;
  readonly #clock: Pick<Clock, 'nowMs' | 'date'>;

  constructor(max: number, clock: Pick<Clock, 'nowMs' | 'date'>) {
    this.#max = max;
    this.#clock = clock;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The fact under a name, unless it is older than a day; nor is one believed that comes from tomorrow. */
  get(name: string): T | null {
    const kept = this.#kept.get(name);
    return kept !== undefined && Math.abs(this.#clock.nowMs() - kept.sinceMs) <= ageMaxMs ? kept.fact : null;
  }

  /** Notes a fact of this moment. Beyond the limit the one that was noted longest ago goes. */
  set(name: string, fact: T): void {
    this.#kept.delete(name);
    this.#kept.set(name, { fact, sinceMs: this.#clock.nowMs() });
    if (this.#kept.size <= this.#max) return;
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest);
      return;
    }
  }

  /** Changes a fact that is there, which gets no younger by that. Returns what it was. */
  correct(name: string, correction: Omit<T, 'atMs'>): T | undefined {
    const kept = this.#kept.get(name);
    if (kept !== undefined) this.#kept.set(name, { ...kept, fact: Object.assign({}, kept.fact, correction) });
    return kept?.fact;
  }

  /** Takes over facts of others; of two by the same name the later counts. */
  merge(facts: Iterable<readonly [name: string, fact: T]>): void {
    const startMs = this.#clock.nowMs() - this.#clock.date().getTime();
    for (const [name, fact] of facts) {
      const mine = this.#kept.get(name);
      if (mine === undefined || mine.fact.atMs < fact.atMs)
        this.#kept.set(name, { fact, sinceMs: startMs + fact.atMs });
    }
    const inOrder = [...this.#kept].sort(([, a], [, b]) => a.sinceMs - b.sinceMs).slice(-this.#max);
    this.#kept.clear();
    for (const [name, kept] of inOrder) this.#kept.set(name, kept);
  }

  delete(name: string): boolean {
    return this.#kept.delete(name);
  }

  deleteWhere(isGone: (fact: T) => boolean): boolean {
    const before = this.#kept.size;
    for (const [name, { fact }] of this.#kept) if (isGone(fact)) this.#kept.delete(name);
    return this.#kept.size < before;
  }

  /** Lets go of what is older than a day. */
  prune(): void {
    const nowMs = this.#clock.nowMs();
    for (const [name, { sinceMs }] of this.#kept) {
      if (nowMs - sinceMs <= ageMaxMs) return;
      this.#kept.delete(name);
    }
  }

  names(): IterableIterator<string> {
    return this.#kept.keys();
  }

  *entries(): Generator<[string, T]> {
    for (const [name, { fact }] of this.#kept) yield [name, fact];
  }
}
