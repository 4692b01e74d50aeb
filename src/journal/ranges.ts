// A set of whole numbers that mostly come in order, kept as ranges: a million numbers in a row take one.

export type Range = readonly [from: number, to: number];

export class Ranges {
  /** In order, apart by at least one number. */
  readonly #ranges: [number, number][] = [];

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  has(number: number): boolean {
    const range = this.#ranges[this.#lastUpTo(number)];
    return range !== undefined && number <= range[1];
  }

  add([from, to]: Range): void {
    // The first range that the new one touches, and the first beyond it.
    let first = this.#lastUpTo(from - 1);
    if (first === -1 || (this.#ranges[first]?.[1] ?? 0) < from - 1) first += 1;
    let end = first;
    for (let range = this.#ranges[end]; range !== undefined && range[0] <= to + 1; range = this.#ranges[++end]) {
      from = Math.min(from, range[0]);
      to = Math.max(to, range[1]);
    }
    this.#ranges.splice(first, end - first, [from, to]);
  }

  /** The index of the last range that begins at or before a number; -1 without one. */
  #lastUpTo(number: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.[0] ?? 0) <= number) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Numbers as ranges, in order. */
export function rangesOf(numbers: readonly number[]): Range[] {
  const ranges: [number, number][] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && number <= last[1] + 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}
