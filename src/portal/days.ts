// Buckets of time for charts, and how long credits last: pure.

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** The starts of the last days up to the one of `nowMs`, RFC 3339 in UTC, and where that range begins and ends. */
export function lastDays(count: number, nowMs: number): { from: string; to: string; starts: string[] } {
  return lastBuckets(count, dayMs, nowMs);
}

/** The same for hours. */
export function lastHours(count: number, nowMs: number): { from: string; to: string; starts: string[] } {
  return lastBuckets(count, hourMs, nowMs);
}

function lastBuckets(count: number, lengthMs: number, nowMs: number) {
  const endMs = (Math.floor(nowMs / lengthMs) + 1) * lengthMs;
  const starts = Array.from({ length: count }, (_, place) => textOf(endMs - (count - place) * lengthMs));
  return { from: textOf(endMs - count * lengthMs), to: textOf(endMs), starts };
}

function textOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** The days by which the pace is told. */
const paceDays = 7;

/**
 * For how many days credits last at the pace of the last seven, today among them as far as it has come; null where nothing
 * was used. `perDay` has what each day took, the last one is today.
 */
export function daysLeft(credits: number, perDay: readonly number[], nowMs: number): number | null {
  const last = perDay.slice(-paceDays);
  // Who began three days ago has used up so much in three days, and not in seven.
  const first = last.findIndex((used) => used > 0);
  if (first === -1) return null;
  const used = last.reduce((sum, each) => sum + each, 0);
  const today = (nowMs % dayMs) / dayMs;
  const days = Math.max(last.length - 1 - first + today, 1);
  return Math.max(0, credits) / (used / days);
}
