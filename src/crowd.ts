// What is there at the moment, such as calls in flight, in no order. A Set would do, but for its garbage: each table that
// V8 makes for it as members come and go keeps the next one from being collected, and whoever was in them.

export interface Member {
  /** The crowd's own: where it stands, or below 0 while it is in none. */
  place: number;
}

export class Crowd<T extends Member> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** Whoever is in no crowd. */
  add(member: T): void {
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** Whether it was there. The last one takes its place. */
  delete(member: T): boolean {
    const { place } = member;
    if (this.#members[place] !== member) return false;
    const last = this.#members.pop() as T;
    if (last !== member) {
      this.#members[place] = last;
      last.place = place;
    }
    member.place = -1;
    return true;
  }

  /** Those that are there; while they are gone through none may be added or deleted. */
  values(): readonly T[] {
    return this.#members;
  }
}
