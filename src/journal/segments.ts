// The files of a journal, oldest first, as the process that writes them keeps count of them: which still hold charges
// that the store has not acknowledged, and which may go.

import { join } from 'node:path';

/** After all of a segment was acknowledged it stays for so long. */
const keptAfterMs = 10 * 60_000;
/** Segments that are kept so are no more than this. */
const keptBytesMax = 256 * 2 ** 20;

export interface Segment {
  readonly path: string;
  bytes: number;
  /** Numbers of the charges in it, of which there is none missing; 0 without one. */
  first: number;
  last: number;
  /** How many of those were acknowledged. */
  posted: number;
  /** Numbers of charges that were written again here and are not acknowledged. */
  readonly again: Set<number>;
  /** The clock's milliseconds when the last of them was acknowledged. */
  doneAtMs: number;
}

export class Segments {
  readonly #folder: string;
  readonly #all: Segment[] = [];
  #count = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A further one, which has no file yet. */
  add(nowMs: number): Segment {
    this.#count += 1;
    const path = join(this.#folder, nameOf(this.#count));
    const segment = { path, bytes: 0, first: 0, last: 0, posted: 0, again: new Set<number>(), doneAtMs: nowMs };
    this.#all.push(segment);
    return segment;
  }

  drop(segment: Segment): void {
    this.#all.splice(this.#all.indexOf(segment), 1);
  }

  /** The one after another, or undefined. */
  after(segment: Segment): Segment | undefined {
    return this.#all[this.#all.indexOf(segment) + 1];
  }

  acknowledge(numbers: readonly number[], nowMs: number): void {
    for (const n of numbers) {
      for (const segment of this.#all) {
        if (n >= segment.first && n <= segment.last) segment.posted += 1;
        else if (!segment.again.delete(n)) continue;
        if (isDone(segment)) segment.doneAtMs = nowMs;
      }
    }
  }

  /** Bytes of segments with charges that are not acknowledged. */
  get owedBytes(): number {
    return bytesOf(this.#all.filter((segment) => !isDone(segment)));
  }

  get areAllDone(): boolean {
    return this.#all.every(isDone);
  }

  /** Takes out what may go by now, but for the one in use, and returns the paths. */
  takeOld(inUse: Segment | null, nowMs: number): string[] {
    const done = this.#all.filter((segment) => isDone(segment) && segment !== inUse);
    let keptBytes = bytesOf(done);
    const old = done.filter((segment) => {
      const isOld = nowMs - segment.doneAtMs >= keptAfterMs || keptBytes > keptBytesMax;
      if (isOld) keptBytes -= segment.bytes;
      return isOld;
    });
    for (const segment of old) this.drop(segment);
    return old.map(({ path }) => path);
  }

  /** Takes out all of them, and returns the paths. */
  takeAll(): string[] {
    return this.#all.splice(0).map(({ path }) => path);
  }
}

/** Whether a file in a folder is a segment. */
export function isSegmentName(name: string): boolean {
  return /^journal-\d{6,}\.jsonl$/.test(name);
}

export function isDone({ first, last, posted, again }: Segment): boolean {
  return (last === 0 || posted === last - first + 1) && again.size === 0;
}

function nameOf(number: number): string {
  return `journal-${String(number).padStart(6, '0')}.jsonl`;
}

function bytesOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { bytes }) => sum + bytes, 0);
}
