// When a worker that has ended is replaced: pure. At once the first time; one that ends again and again would take the
// machine's time from the others.

const firstPauseMs = 500;
const pauseMaxMs = 30_000;
/** Who has served for so long has not failed to start: its end counts as a first one. */
export const livedLongMs = 60_000;

/** How long to wait before a worker is replaced that has ended so many times in a row, itself included. */
export function pauseBefore(endings: number): number {
  return endings <= 1 ? 0 : Math.min(pauseMaxMs, firstPauseMs * 2 ** (endings - 2));
}
