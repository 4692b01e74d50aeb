// Facts by name, each with the time at which it was noted: of the last day, and no more than so many. Walking through them
// goes from the oldest to the newest, and may go on while they change.

export interface Dated {
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

const ageMaxMs = 24 * 60 * 60_000;

export class Recent<T extends Dated> {
  /** A Map walks in the order of adding: the first is the one that was noted longest ago. */
  readonly #facts = new Map<string, T>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#facts.size;
  }

  /** The fact under a name, unless it is older than a day; nor is one believed that comes from tomorrow. */
  get(name: string, nowMs: number): T | null {
    const fact = this.#facts.get(name);
    return fact !== undefined && Math.abs(nowMs - fact.atMs) <= ageMaxMs ? fact : null;
  }

  /** Notes a fact. Beyond the limit the one that was noted longest ago goes. */
  set(name: string, fact: T): void {
    this.#facts.delete(name);
    this.#facts.set(name, fact);
    if (this.#facts.size <= this.#max) return;
    for (const oldest of this.#facts.keys()) {
      this.#facts.delete(oldest);
      return;
    }
  }

  /** Changes a fact that is there, which gets no younger by that. Returns what it was. */
  correct(name: string, correction: Omit<T, 'atMs'>): T | undefined {
    const fact = this.#facts.get(name);
    if (fact !== undefined) this.#facts.set(name, { ...fact, ...correction });
    return fact;
  }

  /** Takes over facts; of two by the same name the later counts. */
  merge(facts: Iterable<readonly [name: string, fact: T]>): void {
    for (const [name, fact] of facts) {
      const mine = this.#facts.get(name);
      if (mine === undefined || mine.atMs < fact.atMs) this.#facts.set(name, fact);
    }
    const inOrder = [...this.#facts].sort(([, a], [, b]) => a.atMs - b.atMs).slice(-this.#max);
    this.#facts.clear();
    for (const [name, fact] of inOrder) this.#facts.set(name, fact);
  }

  delete(name: string): boolean {
    return this.#facts.delete(name);
  }

  deleteWhere(isGone: (fact: T) => boolean): boolean {
    const before = this.#facts.size;
    for (const [name, fact] of this.#facts) if (isGone(fact)) this.#facts.delete(name);
    return this.#facts.size < before;
  }

  /** Lets go of what is older than a day. */
  prune(nowMs: number): void {
    for (const [name, { atMs }] of this.#facts) {
      if (nowMs - atMs <= ageMaxMs) return;
      this.#facts.delete(name);
    }
  }

  names(): IterableIterator<string> {
    return this.#facts.keys();
  }

  entries(): IterableIterator<[string, T]> {
    return this.#facts.entries();
  }
}
