// What a line of the journal says: pure. Each is a JSON document whose first member is a checksum over the bytes after
// it, so that a line that was torn or has rotted is told from a good one, and any tool can read them all.

import { crc32 } from 'node:zlib';
import type { Charge } from '../store/sync/exchange.ts';
import type { Range } from './ranges.ts';

/** Raised when older programs would misread what is written. */
export const format = 1;

/** A settled charge in the journal of one process. */
export interface Entry {
  /** Counts the charges of one journal from 1. */
  readonly n: number;
  readonly charge: Charge;
  /** The key of the lease that it was held from; '' for the user's own. */
  readonly lease: string;
}

/** The first line of a segment: who writes it. */
export interface Header {
  readonly format: number;
  readonly instance: string;
  /** RFC 3339, UTC. */
  readonly at: string;
}

export type JournalRecord =
  | { readonly header: Header }
  /** `again`: after trouble with the disk; it may be in an earlier segment as well, under the same number. */
  | { readonly charge: Charge & { readonly n: number; readonly lease: string; readonly again?: true } }
  /** Numbers of charges that the store has acknowledged. */
  | { readonly posted: readonly Range[] };

const opening = '{"crc":"';
const crcLength = 8;
const separator = '",';
const bodyStart = opening.length + crcLength + separator.length;

/** A line with its end. */
export function encodeRecord(record: Exclude<JournalRecord, { charge: unknown }>): string {
  return lineOf(JSON.stringify(record).slice(1));
}

/** A charge is told as it is, and not copied first: there is one for each call. */
export function encodeEntry({ n, charge, lease }: Entry, isAgain = false): string {
  const more = `${JSON.stringify(charge).slice(1, -1)}${isAgain ? ',"again":true' : ''}`;
  return lineOf(`"charge":{"n":${n},"lease":${JSON.stringify(lease)},${more}}}`);
}

function lineOf(body: string): string {
  return `${opening}${crcOf(body)}${separator}${body}\n`;
}

/** What a line without its end says; null when it is damaged. */
export function decodeLine(line: string): JournalRecord | null {
  const body = line.slice(bodyStart);
  if (line.slice(0, bodyStart) !== `${opening}${crcOf(body)}${separator}`) return null;
  return JSON.parse(line);
}

export function entryOf({ n, lease, again, ...charge }: Extract<JournalRecord, { charge: unknown }>['charge']): Entry {
  return { n, lease, charge };
}

function crcOf(body: string): string {
  return crc32(body).toString(16).padStart(crcLength, '0');
}
