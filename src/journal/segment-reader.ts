// Reads a segment in pieces, so that the size of a file does not matter. A torn line at its end is what a crash leaves
// and is passed over; a line that is damaged elsewhere is handed to whoever asks.

import { closeSync, openSync, readSync } from 'node:fs';
import { decodeLine, type Entry, entryOf, type JournalRecord } from './records.ts';

const pieceBytes = 1 * 2 ** 20;

/** Offsets in bytes. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  /** Charges, at most. */
  readonly max: number;
}

/** The charges that a stretch of a segment holds, but for those that are there once more, and where the reading ended. */
export function readEntries(path: string, { from, to, max }: Stretch): { entries: Entry[]; offset: number } {
  const entries: Entry[] = [];
  let offset = from;
  for (const { record, end } of linesOf(path, from, to)) {
    if (entries.length >= max) break;
    offset = end;
    if (record !== null && 'charge' in record && record.charge.again !== true) entries.push(entryOf(record.charge));
  }
  return { entries, offset: entries.length < max ? to : offset };
}

export interface Line {
  readonly text: string;
  /** Null for a damaged line. */
  readonly record: JournalRecord | null;
  /** The offset of the byte after it. */
  readonly end: number;
}

/** Each whole line of a file, from one offset to another. */
export function* linesOf(path: string, from = 0, to = Number.POSITIVE_INFINITY): Generator<Line> {
  const fd = openSync(path, 'r');
  try {
    let rest = Buffer.alloc(0);
    let offset = from;
    for (;;) {
      const piece = Buffer.alloc(Math.min(pieceBytes, to - offset - rest.length));
      const read = piece.length === 0 ? 0 : readSync(fd, piece, 0, piece.length, offset + rest.length);
      if (read === 0) return;
      rest = Buffer.concat([rest, piece.subarray(0, read)]);
      let start = 0;
      for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10, start)) {
        const text = rest.toString('utf8', start, end);
        start = end + 1;
        yield { text, record: decodeLine(text), end: offset + start };
      }
      offset += start;
      rest = rest.subarray(start);
    }
  } finally {
    closeSync(fd);
  }
}
