// Whether memory is flat: pure.

import { spreadOf } from '../report.ts';

/** Fewer minutes say nothing: memory grows until the first collections, and caches until they are full. */
export const minutesMin = 6;
/** How much more the last third may have than the second. */
const growthMax = 1.1;

/** Whether the last third of the readings is no higher than the second, the first being left out; null: too few to tell. */
export function isFlat(readings: readonly number[]): boolean | null {
  if (readings.length < minutesMin) return null;
  const third = Math.floor(readings.length / 3);
  const middle = spreadOf(readings.slice(-2 * third, -third)).median;
  const last = spreadOf(readings.slice(-third)).median;
  return last <= middle * growthMax;
}
