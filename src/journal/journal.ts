// The journal of one process: every settled charge is on its disk from the end of the turn of the event loop in which
// it was settled, until the store has acknowledged it. It trades one small write a turn for charges that survive the
// process. When the disk fails, charges live in memory alone, as the owner is told, until a new file can be written.

import { strict as assert } from 'node:assert';
import type { BaseLogger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Charge } from '../store/sync/exchange.ts';
import { type Files, systemFiles } from './files.ts';
import { rangesOf } from './ranges.ts';
import { type Entry, encodeEntry, encodeRecord, format } from './records.ts';
import { readEntries } from './segment-reader.ts';
import { isDone, type Segment, Segments } from './segments.ts';
import { type FsyncPolicy, Writer } from './writer.ts';

const segmentBytesMax = 8 * 2 ** 20;
/** A segment that holds nothing owed is changed for a new one after so long, so that it can go. */
const segmentAgeMaxMs = 60_000;
/** Charges that the store has not acknowledged take no more room than this. */
const owedBytesMax = 2 ** 30;
/** How often a disk that has failed is tried again. */
const retryMs = 1_000;
const tidyEachMs = 10_000;

export interface JournalOptions {
  /** A folder of its own. */
  readonly folder: string;
  readonly instance: string;
  readonly fsync: FsyncPolicy;
  readonly clock: Clock;
  readonly log: BaseLogger;
  /** The system's where none are given. */
  readonly files?: Files;
}

export interface JournalOwner {
  /** Charges that are kept in memory: they are written again when the disk has failed and is back. */
  inMemory(): Iterable<Entry>;
  /** Charges that were to be kept on disk alone could not be written. */
  unwritten(entries: readonly Entry[]): void;
}

interface Pending extends Entry {
  readonly isDeferred: boolean;
}

/** Charges that are on disk alone: from where in which segment, and how many. */
interface Deferred {
  segment: Segment;
  offset: number;
  count: number;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #owner: JournalOwner;
  readonly #segments: Segments;
  readonly #writer: Writer;
  #instance: string;
  #current: Segment;
  #currentSinceMs = 0;
  #fault: string | null = null;
  #last = 0;
  /** What the end of this turn writes. */
  #charges: Pending[] = [];
  #acknowledged: number[] = [];
  #deferring = 0;
  #isFlushDue = false;
  #tidiedAtMs = 0;
  #isFull = false;
  #isClosed = false;
  #deferred: Deferred | null = null;

  /** Opens the first segment. Throws what the system says when it cannot. */
  constructor(options: JournalOptions, owner: JournalOwner) {
    const { folder, instance, fsync, clock, files = systemFiles } = options;
    this.#options = options;
    this.#files = files;
    this.#clock = clock;
    this.#owner = owner;
    this.#segments = new Segments(folder);
    this.#writer = new Writer({ files, fsync, clock, onSyncFailed: (error) => this.#fail(error) });
    this.#instance = instance;
    this.#current = this.#open([]);
  }

  /** What is wrong with the disk, for people; null while charges are written. */
  get fault(): string | null {
    return this.#fault;
  }

  /** True when no more charges should be made: what is owed takes all the room that it may. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** How many charges are on disk alone, or will be at the end of this turn. */
  get deferredCharges(): number {
    return (this.#deferred?.count ?? 0) + this.#deferring;
  }

  /**
   * Writes a charge at the end of this turn. `isDeferred`: the owner does not keep it in memory and reads it back later;
   * asked for only without a fault.
   */
  append(charge: Charge, lease: string, isDeferred: boolean): Entry {
    this.#last += 1;
    const entry = { n: this.#last, charge, lease, isDeferred };
    assert.ok(this.#fault === null || !isDeferred, 'what cannot be written is kept in memory');
    if (this.#fault === null) {
      this.#charges.push(entry);
      if (isDeferred) this.#deferring += 1;
      this.#flushSoon();
    }
    return entry;
  }

  /** The store has acknowledged these charges, or they were set aside. */
  acknowledge(numbers: readonly number[]): void {
    // One that was settled in this very turn is not in any segment yet.
    this.#flush();
    this.#segments.acknowledge(numbers, this.#clock.nowMs());
    this.#isFull &&= this.#segments.owedBytes >= owedBytesMax;
    if (this.#fault !== null || numbers.length === 0) return;
    this.#acknowledged.push(...numbers);
    this.#flushSoon();
  }

  /** Reads up to `max` of the charges that are on disk alone, oldest first. They are the owner's again. */
  readDeferred(max: number): Entry[] {
    this.#flush();
    const from = this.#deferred;
    if (from === null) return [];
    const entries: Entry[] = [];
    try {
      this.#readBack(from, Math.min(max, from.count), entries);
    } catch (error) {
      this.#options.log.error({ err: error }, 'the journal cannot be read');
    }
    from.count -= entries.length;
    if (entries.length === 0) {
      const { count: charges } = from;
      this.#options.log.error({ charges }, 'charges cannot be read back: they stay in the journal for the next start');
      from.count = 0;
    }
    if (from.count === 0) this.#deferred = null;
    return entries;
  }

  #readBack(from: Deferred, max: number, entries: Entry[]): void {
    while (entries.length < max) {
      const { segment, offset } = from;
      const read = readEntries(segment.path, { from: offset, to: segment.bytes, max: max - entries.length });
      entries.push(...read.entries);
      from.offset = read.offset;
      const next = read.offset < segment.bytes ? segment : this.#segments.after(segment);
      if (next === undefined) return;
      if (next !== segment) Object.assign(from, { segment: next, offset: 0 });
    }
  }

  /** The process goes on as another instance. */
  rename(instance: string): void {
    this.#flush();
    this.#instance = instance;
    if (this.#fault === null) this.#attempt(() => this.#rotate());
  }

  /** Writes what is left. Nothing stays behind if nothing is owed. Safe to call twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#attempt(() => this.#writer.close(true));
    this.#isClosed = true;
    if (!this.#segments.areAllDone) return;
    for (const path of this.#segments.takeAll()) this.#files.remove(path);
  }

  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#clock.atTurnEnd(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#fault !== null || this.#isClosed) return;
    if (this.#charges.length === 0 && this.#acknowledged.length === 0) return;
    this.#attempt(() => {
      if (this.#isRotationDue()) this.#rotate();
      this.#writeTurn();
    });
    this.#tidy();
  }

  /** One write for all of a turn. */
  #writeTurn(): void {
    const segment = this.#current;
    const lines = this.#charges.map((entry) => encodeEntry(entry));
    const kept = this.#deferring === 0 ? -1 : this.#charges.findIndex(({ isDeferred }) => isDeferred);
    if (this.#acknowledged.length > 0) lines.push(encodeRecord({ posted: rangesOf(this.#acknowledged) }));
    this.#writer.write(lines.join(''));
    if (kept !== -1) {
      const offset = segment.bytes + Buffer.byteLength(lines.slice(0, kept).join(''));
      this.#deferred ??= { segment, offset, count: 0 };
      this.#deferred.count += this.#deferring;
    }
    this.#deferring = 0;
    segment.bytes = this.#writer.length;
    if (segment.first === 0) segment.first = this.#charges[0]?.n ?? 0;
    segment.last = this.#charges.at(-1)?.n ?? segment.last;
    this.#charges = [];
    this.#acknowledged = [];
  }

  #isRotationDue(): boolean {
    const isOld = this.#clock.nowMs() - this.#currentSinceMs >= segmentAgeMaxMs;
    return this.#current.bytes >= segmentBytesMax || (isOld && this.#current.last > 0 && isDone(this.#current));
  }

  #rotate(): void {
    this.#writer.close(false);
    this.#current = this.#open([]);
    this.#isFull = this.#segments.owedBytes >= owedBytesMax;
  }

  /** Begins a segment, with charges that are to be in it once more. */
  #open(again: readonly Entry[]): Segment {
    const nowMs = this.#clock.nowMs();
    const segment = this.#segments.add(nowMs);
    const header = { format, instance: this.#instance, at: this.#clock.date().toISOString() };
    const lines = [encodeRecord({ header }), ...again.map((entry) => encodeEntry(entry, true))];
    try {
      this.#writer.open(segment.path, lines.join(''));
    } catch (error) {
      this.#segments.drop(segment);
      throw error;
    }
    segment.bytes = this.#writer.length;
    for (const { n } of again) segment.again.add(n);
    this.#currentSinceMs = nowMs;
    return segment;
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** What is not known to be on the disk is in memory from now on. */
  #fail(error: Error): void {
    if (this.#fault !== null || this.#isClosed) return;
    this.#fault = error.message;
    this.#options.log.error({ err: error }, 'the journal cannot be written: charges are kept in memory alone');
    this.#owner.unwritten(this.#charges.filter(({ isDeferred }) => isDeferred));
    this.#charges = [];
    this.#acknowledged = [];
    this.#deferring = 0;
    this.#writer.abandon();
    this.#recoverLater();
  }

  #recoverLater(): void {
    this.#clock.after(retryMs, () => {
      if (this.#isClosed) return;
      try {
        this.#current = this.#open([...this.#owner.inMemory()]);
        this.#fault = null;
        this.#options.log.info('the journal is written again');
      } catch (error) {
        this.#fault = (error as Error).message;
        this.#recoverLater();
      }
    });
  }

  #tidy(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#tidiedAtMs < tidyEachMs) return;
    this.#tidiedAtMs = nowMs;
    for (const path of this.#segments.takeOld(this.#current, nowMs)) this.#files.remove(path);
  }
}
