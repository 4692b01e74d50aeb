// What is charged and not in what the store said last, so that a start in an outage does not sell it again: what earlier
// processes and others beside this one owe, and what they have handed in since.

import type { BaseLogger } from 'pino';
import type { Clock } from '../clock.ts';
import { AbandonedJournal } from './abandoned.ts';

export interface DebtsOptions {
  readonly clock: Clock;
  readonly log: BaseLogger;
  /** Those that this process looks after. */
  readonly own: () => Iterable<AbandonedJournal>;
}

/** The time of a charge is that of its end, and the store hears of it a little later. */
const slackMs = 1_000;

export class Debts {
  readonly #options: DebtsOptions;
  #others: AbandonedJournal[] = [];
  readonly #posted = new Map<string, number>();

  constructor(options: DebtsOptions) {
    this.#options = options;
  }

  /**
   * Takes stock of these folders of others: living processes, and what they look after. They are read as far as they have come, and
   * left as they are.
   */
  async readOthers(folders: readonly string[]): Promise<void> {
    const { clock, log } = this.#options;
    for (const path of folders) {
      const journal = new AbandonedJournal(path, clock, { add: () => {}, addFile: () => {} });
      try {
        await journal.open();
        this.#others.push(journal);
      } catch (error) {
        log.info({ err: error, folder: path }, 'what another process owes could not be read');
      }
    }
  }

  /**
   * Adds up what the store has acknowledged since it spoke of a user last, as far as is known: `knownAtMs` says when that was,
   * by the time of day. What a process that died had written down of it is a minute old.
   */
  async readPosted(knownAtMs: (user: string) => number | null): Promise<void> {
    for (const journal of [...this.#options.own(), ...this.#others]) {
      for await (const { charge } of journal.entries('posted')) {
        const sinceMs = knownAtMs(charge.user);
        if (sinceMs === null || Date.parse(charge.at) < sinceMs - slackMs) continue;
        this.#posted.set(charge.user, (this.#posted.get(charge.user) ?? 0) + charge.cost);
      }
    }
  }

  /** Credits of a user that are charged, and were not when the store spoke last. */
  of(user: string): number {
    let sum = this.#posted.get(user) ?? 0;
    for (const journals of [this.#options.own(), this.#others]) {
      for (const journal of journals) sum += journal.owedBy(user);
    }
    return sum;
  }

  /** The store answers: it knows better than what was read of others and added up. */
  forget(): void {
    this.#others = [];
    this.#posted.clear();
  }
}
