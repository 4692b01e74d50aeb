// What the auditor says about one promise.

export interface Finding {
  readonly promise: string;
  /** What it was held against, in numbers. */
  readonly seen: string;
  /** Each way in which it was not kept, in words; empty when it held. */
  readonly broken: readonly string[];
  /** What is named and bounded and happened within its bound, in words. */
  readonly bounded: readonly string[];
}

/** Makes a finding; what was not kept is written into `broken` by whoever judges. */
export function finding(
  promise: string,
  seen: string,
  broken: readonly string[],
  bounded: readonly string[] = [],
): Finding {
  return { promise, seen, broken, bounded };
}

/** `1 call`, `2 calls`. */
export function count(number: number, thing: string): string {
  return `${number.toLocaleString('en-US')} ${thing}${number === 1 ? '' : 's'}`;
}
