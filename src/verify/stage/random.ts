// Chance that can be repeated: the same seed draws the same numbers.

export interface Random {
  /** A whole number from 0 to below `limit`. */
  below(limit: number): number;
  /** One of the list. */
  of<T>(list: readonly T[]): T;
  /** Whether something happens that does so `times` in a hundred. */
  percent(times: number): boolean;
}

/** Marsaglia's xorshift with 32 bits: short, and good enough to draw cases. */
export function randomFrom(seed: number): Random {
  // A state of zero would stay zero; multiplying keeps small seeds from beginning alike.
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  const below = (limit: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  return {
    below,
    of: (list) => list[below(list.length)] as (typeof list)[number],
    percent: (times) => below(100) < times,
  };
}
