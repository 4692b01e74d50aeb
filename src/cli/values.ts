// What people type for amounts, durations, times and addresses, read strictly: an amount that could be meant in two
// ways is refused, since it moves credits.

import { InvalidArgumentError } from 'commander';
import ms, { type StringValue } from 'ms';

/** A positive whole number of credits. */
export function parseAmount(text: string): number {
  return wholeNumber(text, 1, 'Write a positive whole number, such as 500.');
}

/** A whole number of credits, 0 included. */
export function parseCredits(text: string): number {
  return wholeNumber(text, 0, 'Write a whole number from 0 on, such as 500.');
}

/** How many rows to show. */
export function parseRows(text: string): number {
  const rows = wholeNumber(text, 1, 'Write a number from 1 to 1000.');
  if (rows > 1000) throw new InvalidArgumentError('Write a number from 1 to 1000.');
  return rows;
}

/** The id of a ledger entry. */
export function parseEntryId(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) {
    throw new InvalidArgumentError('Write the id of an entry, as the ledger shows it.');
  }
  return text;
}

/** A port; 0 takes a free one. */
export function parsePort(text: string): number {
  const port = wholeNumber(text, 0, 'Write a port from 0 to 65535.');
  if (port > 65_535) throw new InvalidArgumentError('Write a port from 0 to 65535.');
  return port;
}

function wholeNumber(text: string, smallest: number, remedy: string): number {
  const number = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number) || number < smallest) throw new InvalidArgumentError(remedy);
  return number;
}

/** A duration in milliseconds: `90d`, `12h`, `0s`; at most 100 years, which every calendar can count. */
export function parseDuration(text: string): number {
  const duration = /^\d{1,9}(ms|s|m|h|d)$/.test(text) ? ms(text as StringValue) : Number.NaN;
  if (!(duration <= 36_525 * 86_400_000)) {
    throw new InvalidArgumentError('Write a number with its unit (ms, s, m, h or d), such as 90d.');
  }
  return duration;
}

/** A day (its beginning in UTC) or a time with its zone, as RFC 3339 in UTC. */
export function parseTime(text: string): string {
  const parts = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/i.exec(text);
  const time = new Date(text);
  // A day that does not exist, such as 30 February, would be taken for one in the next month.
  if (parts === null || Number.isNaN(time.getTime()) || !isDay(parts[1] ?? '')) {
    throw new InvalidArgumentError('Write a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z.');
  }
  return time.toISOString();
}

function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/** An e-mail address: something@something, without spaces. */
export function parseEmail(text: string): string {
  if (!isEmail(text)) throw new InvalidArgumentError('Write an e-mail address, such as ann@example.com.');
  return text;
}

export function isEmail(text: string): boolean {
  return text.length <= 254 && /^[^\s@\p{C}]+@[^\s@\p{C}]+$/u.test(text);
}

/** A name or a note: some text on one line. */
export function parseText(text: string): string {
  if (!isText(text)) throw new InvalidArgumentError('Write 1 to 200 characters on one line.');
  return text;
}

export function isText(text: string): boolean {
  return text.trim() !== '' && text.length <= 200 && !/\p{Cc}/u.test(text);
}
