// Keeps what was last known of the callers on the disk, so that a start in an outage knows them too, and asks the store
// about all of them anew once it has been silent: a key that was revoked in one outage is not good in the next.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseLogger } from 'pino';
import type { Db } from '../store/database.ts';
import { findKeyIdentities, findUsersBlocked } from '../store/identities.ts';
import { type Callers, CallersFileError, readCallers, writeCallers } from './file.ts';
import type { LastKnown } from './last-known.ts';

const fileName = 'callers.json';
const tickMs = 1_000;
/** So often the file is written while something changes; when somebody must not be let in any more, at the next tick. */
const saveEveryMs = 60_000;
/** So many callers are asked about at a time, and the pause in between: the first calls after an outage come first. */
const askedMax = 500;
const pauseMs = 50;

export interface Place {
  /** Where this process keeps its file. */
  readonly folder: string;
  /** Folders of other processes: what their files hold is taken over. */
  readonly others: readonly string[];
  readonly isStoreUp: () => boolean;
}

export interface FallbackOptions extends Place {
  readonly known: LastKnown;
  readonly db: Db;
  readonly log: Pick<BaseLogger, 'info' | 'warn'>;
}

/** Takes over what is on the disk; `start` it then. What cannot be read, or is not to be believed, is told to the log and left out. */
export async function openFallback(options: FallbackOptions): Promise<Fallback> {
  const { known, others, log } = options;
  const found: Callers[] = [];
  for (const path of others.map((folder) => join(folder, fileName))) {
    try {
      const callers = await readCallers(path);
      if (callers !== null) found.push(callers);
    } catch (error) {
      const why = error instanceof CallersFileError ? error.message : String(error);
      log.warn({ path, why }, 'known callers were not taken from a file');
    }
  }
  merge(known, found);
  known.prune();
  const fallback = new Fallback(options);
  // Whoever looks after what was left behind removes it as soon as the store answers.
  if (found.length > 0) await fallback.save();
  return fallback;
}

/** Of several that speak of the same, the latest counts. */
function merge(known: LastKnown, found: readonly Callers[]): void {
  for (const { instances } of found) known.noteInstances(Math.max(known.instances, instances));
  for (const list of ['keys', 'subjects', 'standings'] as const) {
    const facts = found.flatMap((callers) => [...callers[list]]);
    for (const [name, fact] of facts.toSorted(([, a], [, b]) => a.atMs - b.atMs)) known[list].set(name, fact as never);
  }
}

export class Fallback {
  readonly #options: FallbackOptions;
  #timer: NodeJS.Timeout | null = null;
  #working: Promise<void> | null = null;
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #isClosing = false;
  /** Whether something may have changed that was not told. */
  #isInDoubt = true;
  #hasFailed = false;

  constructor(options: FallbackOptions) {
    this.#options = options;
  }

  /** Begins to keep the file up to date. */
  start(): void {
    this.#timer = setTimeout(() => {
      this.#working = this.#work().finally(() => {
        this.#working = null;
        if (!this.#isClosing) this.start();
      });
    }, tickMs).unref();
  }

  /** Changes may have been missed: as soon as the store answers it is asked about everybody. */
  doubt(): void {
    this.#isInDoubt = true;
  }

  async #work(): Promise<void> {
    const { known, isStoreUp } = this.#options;
    if (this.#isInDoubt && isStoreUp()) await this.#askAnew();
    const news = known.takeNews();
    if (news === 'none') return;
    const isDue = news === 'urgent' || performance.now() - this.#savedAtMs >= saveEveryMs;
    if (!isDue || !(await this.save())) known.giveBackNews(news);
  }

  /** Writes the file, unless there is nobody to write down. False when that fails, which is told once. */
  async save(): Promise<boolean> {
    const { known, folder, log } = this.#options;
    const startMs = performance.now();
    // What takes long is done less often.
    known.prune();
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeCallers(join(folder, fileName), known);
      const endMs = performance.now();
      this.#savedAtMs = endMs + 20 * (endMs - startMs);
      this.#hasFailed = false;
      return true;
    } catch (error) {
      if (!this.#hasFailed) log.warn({ err: error, folder }, 'known callers could not be written down');
      this.#hasFailed = true;
      this.#savedAtMs = performance.now();
      return false;
    }
  }

  /** Asks the store about everybody, some at a time. What fails is done again at the next tick. */
  async #askAnew(): Promise<void> {
    const { known, log } = this.#options;
    this.#isInDoubt = false;
    try {
      await this.#inBatches(known.keys.names(), (hashes) => this.#askOfKeys(hashes));
      await this.#inBatches(known.subjects.names(), (names) => this.#askOfSubjects(names));
    } catch (error) {
      this.#isInDoubt = true;
      log.info({ err: error }, 'known callers could not be asked about yet');
    }
  }

  async #inBatches(names: Iterable<string>, ask: (names: readonly string[]) => Promise<void>): Promise<void> {
    let batch: string[] = [];
    for (const name of names) {
      batch.push(name);
      if (batch.length < askedMax) continue;
      await ask(batch);
      if (this.#isClosing) return;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      batch = [];
    }
    if (batch.length > 0) await ask(batch);
  }

  async #askOfKeys(hashes: readonly string[]): Promise<void> {
    const { known, db } = this.#options;
    const found = await this.#unchanged(() => findKeyIdentities(db, hashes));
    for (const hash of hashes) known.correctKey(hash, found.get(hash) ?? null);
  }

  async #askOfSubjects(names: readonly string[]): Promise<void> {
    const { known, db } = this.#options;
    const users = new Map(names.map((name) => [name, known.userOfSubject(name)]));
    const found = await this.#unchanged(() => findUsersBlocked(db, [...new Set(users.values())]));
    for (const [name, user] of users) known.correctSubject(name, found.get(user) ?? null);
  }

  /** Reads until nothing has changed meanwhile: an answer from before a change must not undo it. */
  async #unchanged<T>(read: () => Promise<T>): Promise<T> {
    for (;;) {
      const { generation } = this.#options.known;
      const found = await read();
      if (generation === this.#options.known.generation) return found;
    }
  }

  /** Writes down what is known at the end. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#working;
    if (this.#options.known.takeNews() !== 'none') await this.save();
  }
}
