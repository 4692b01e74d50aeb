// What the durations, sizes and lists of gateway.yaml amount to: milliseconds, bytes, lists.

import ms, { type StringValue } from 'ms';
import type { Path, Report } from './report.ts';

/** Timers of Node.js hold no more than 2^31 − 1 ms: a longer one would fire at once. */
const durationMsMax = 2 ** 31 - 1;

const bytesOf: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };

/** The milliseconds of a duration that has the form of one. */
export function parseDuration(duration: string): number {
  return duration === '0' ? 0 : ms(duration as StringValue);
}

/** The bytes of a size that has the form of one. Units are powers of 1024, in any case. */
export function parseSize(size: string): number {
  const unit = size.replace(/^\d+/, '');
  return Number.parseInt(size, 10) * (bytesOf[unit.toLowerCase()] ?? Number.NaN);
}

/** Refuses a duration that no timer holds. */
export function checkDuration(report: Report, path: Path, duration: string | undefined): void {
  if (duration !== undefined && parseDuration(duration) > durationMsMax) {
    report.add(path, 'is longer than 24 days', 'Write a shorter time');
  }
}

/** As long as browsers keep a cookie, in milliseconds. */
export const longestSessionMs = 400 * 24 * 60 * 60_000;

/** What may be written as one text or as a list. */
export function listOf(written: string | readonly string[] | undefined): readonly string[] {
  if (written === undefined) return [];
  return typeof written === 'string' ? [written] : written;
}

/** The scopes of a text with blanks in between, or of a list. */
export function scopesOf(written: string | readonly (string | undefined)[]): string[] {
  const texts = typeof written === 'string' ? [written] : written;
  return texts.flatMap((text) => text?.split(' ') ?? []).filter((scope) => scope !== '');
}
