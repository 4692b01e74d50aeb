// How numbers and times are written for people: pure. Times are UTC, as everywhere.

const whole = new Intl.NumberFormat('en');

/** `12,345`, with a true minus. */
export function numberText(value: number): string {
  return whole.format(value).replace('-', '\u2212');
}

/** The same with its sign, for what has been added or taken. */
export function signedText(value: number): string {
  return value > 0 ? `+${numberText(value)}` : numberText(value);
}

const short = new Intl.NumberFormat('en', { notation: 'compact' });

/** `250`, `12K`, `1.5M`: where there is little room, and the whole number stands elsewhere. */
export function shortText(value: number): string {
  return short.format(value);
}

/** `1 credit`, `2 credits`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${numberText(count)} ${count === 1 ? one : many}`;
}

/** `2026-11-30 08:05:09` of an RFC 3339 time in UTC. */
export function timeText(at: string): string {
  return at.slice(0, 19).replace('T', ' ');
}

/** `30 Nov` of an RFC 3339 time or day in UTC. */
export function dayText(at: string): string {
  const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
  return day.format(new Date(at));
}

/** `08:05` of an RFC 3339 time in UTC. */
export function hourText(at: string): string {
  return at.slice(11, 16);
}

/** How long something lasts, from seconds: `45 s`, `12 min`, `5 h`, `3 days`. */
export function spanText(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3_600) return `${Math.round(seconds / 3_600)} h`;
  return countText(Math.round(seconds / 86_400), 'day');
}

/** A query that begins with its question mark, without what is empty; empty when nothing is left. */
export function queryText(members: Readonly<Record<string, string | number | undefined | null>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined && value !== null && value !== '') query.set(name, String(value));
  }
  return query.size === 0 ? '' : `?${query}`;
}
