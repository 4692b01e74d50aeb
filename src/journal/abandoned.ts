// What a process that is gone has left in its folder: read in two passes of bounded memory, whatever the size. The
// first learns which charges the store has acknowledged, the second what is owed, by lease.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { Ranges } from './ranges.ts';
import { type Entry, entryOf, format } from './records.ts';
import { type Line, linesOf } from './segment-reader.ts';
import { isSegmentName } from './segments.ts';
import type { SetAside } from './set-aside.ts';

/** So many lines are read before the event loop has a turn. */
const linesEachTurn = 2_000;

export interface Owed {
  readonly user: string;
  readonly lease: string;
  credits: number;
}

export class AbandonedJournal {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #setAside: Pick<SetAside, 'add' | 'addFile'>;
  readonly #posted = new Ranges();
  /** The instance that wrote it last; null when nothing says so. */
  instance: string | null = null;
  /** What the store has not acknowledged, by user and lease. */
  readonly owed = new Map<string, Owed>();
  readonly #owedByUser = new Map<string, Owed[]>();
  charges = 0;
  /** What is owed is reserved in the store. */
  isReserved = false;

  constructor(folder: string, clock: Clock, setAside: Pick<SetAside, 'add' | 'addFile'>) {
    this.#folder = folder;
    this.#clock = clock;
    this.#setAside = setAside;
  }

  /** Takes stock, and sets aside what cannot be read. */
  async open(): Promise<void> {
    for await (const { path, lines } of this.#segments()) {
      const first = lines.next();
      if (first.done === true) continue;
      const { record } = first.value;
      if (record === null || !('header' in record) || record.header.format !== format) {
        this.#setAside.addFile(path, 'it does not begin as this version writes it');
        continue;
      }
      this.instance = record.header.instance;
      await this.#readThrough(lines, path);
    }
    for await (const entry of this.entries('owed')) {
      const { charge, lease } = entry;
      const name = owedName(charge.user, lease);
      const known = this.owed.get(name) ?? this.#openOwed(name, { user: charge.user, lease, credits: 0 });
      known.credits += charge.cost;
      this.charges += 1;
    }
  }

  #openOwed(name: string, owed: Owed): Owed {
    this.owed.set(name, owed);
    const others = this.#owedByUser.get(owed.user);
    if (others === undefined) this.#owedByUser.set(owed.user, [owed]);
    else others.push(owed);
    return owed;
  }

  /** Credits of a user that the store has not acknowledged. */
  owedBy(user: string): number {
    return (this.#owedByUser.get(user) ?? []).reduce((sum, { credits }) => sum + credits, 0);
  }

  async #readThrough(lines: Generator<Line>, path: string): Promise<void> {
    let damaged: string | null = null;
    for await (const { text, record } of this.#inTurns(lines)) {
      // At the very end it is what a crash has left of a write.
      if (damaged !== null) this.#setAside.add({ path, line: damaged }, 'the line is damaged');
      damaged = record === null ? text : null;
      if (record !== null && 'posted' in record) for (const range of record.posted) this.#posted.add(range);
    }
  }

  /** Its charges in the order of settling, each once: those that are owed, or those that the store has acknowledged. */
  async *entries(which: 'owed' | 'posted'): AsyncGenerator<Entry> {
    const seen = new Ranges();
    for await (const { lines } of this.#segments()) {
      for await (const { record } of this.#inTurns(lines)) {
        if (record === null || !('charge' in record)) continue;
        const { n } = record.charge;
        if (this.#posted.has(n) !== (which === 'posted') || seen.has(n)) continue;
        seen.add([n, n]);
        yield entryOf(record.charge);
      }
    }
  }

  /** Whether there are charges that the store has acknowledged. */
  get hasPosted(): boolean {
    return !this.#posted.isEmpty;
  }

  async *#segments(): AsyncGenerator<{ path: string; lines: Generator<Line> }> {
    for (const name of readdirSync(this.#folder).filter(isSegmentName).sort()) {
      const path = join(this.#folder, name);
      const lines = linesOf(path);
      try {
        yield { path, lines };
      } finally {
        // Whoever has read it in part has left its file open.
        lines.return(undefined);
      }
    }
  }

  async *#inTurns(lines: Generator<Line>): AsyncGenerator<Line> {
    let count = 0;
    for (const line of lines) {
      yield line;
      count += 1;
      if (count % linesEachTurn === 0) await new Promise<void>((resolve) => this.#clock.atTurnEnd(resolve));
    }
  }
}

export function owedName(user: string, lease: string): string {
  return `${user} ${lease}`;
}
