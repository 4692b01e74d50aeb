// Keeps what was last known of the callers on the disk, so that a start in an outage knows them too, and asks the store
// about all of them anew once it has been silent: a key that was revoked in one outage is not good in the next.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseLogger } from 'pino';
import type { Db } from '../store/database.ts';
import { findKeyIdentities, findSubjectsOf } from '../store/identities.ts';
import { CallersFileError, readCallers, writeCallers } from './file.ts';
import { type LastKnown, nameOf } from './last-known.ts';

const fileName = 'callers.json';
const tickMs = 1_000;
/** So often the file is written while something changes; when somebody must not be let in any more, at the next tick. */
const saveEveryMs = 60_000;
/** So many callers are asked about at a time, and the pause in between: the first calls after an outage come first. */
const askedMax = 500;
const pauseMs = 50;

export interface Place {
  /** Where this process keeps its file: a folder that is there. */
  readonly folder: string;
  /** Folders of processes that are gone, which this one looks after: what their files hold is taken over. */
  readonly abandoned: readonly string[];
  /** Folders of others whose files are to be read, at this moment. */
  readonly others: () => readonly string[];
  readonly isStoreUp: () => boolean;
}

export interface FallbackOptions extends Place {
  readonly known: LastKnown;
  readonly db: Db;
  readonly log: Pick<BaseLogger, 'info' | 'warn'>;
}

/** Takes over what is on the disk; `start` it then. What cannot be read, or is not to be believed, is told to the log and left out. */
export async function openFallback(options: FallbackOptions): Promise<Fallback> {
  const { known, abandoned, others } = options;
  const seen = new Set<string>();
  // Who takes over the file of another has written its own before that goes: whoever has come too late for one finds the other.
  for (let unread = [...abandoned, ...others()]; unread.length > 0; unread = others().filter((one) => !seen.has(one))) {
    for (const folder of unread) {
      seen.add(folder);
      await takeOver(join(folder, fileName), options);
    }
  }
  known.prune();
  const fallback = new Fallback(options);
  if (!known.isEmpty && (await fallback.save())) {
    for (const folder of abandoned) await putAway(join(folder, fileName), options);
  }
  return fallback;
}

async function takeOver(path: string, { known, log }: FallbackOptions): Promise<void> {
  try {
    const callers = await readCallers(path);
    if (callers !== null) known.merge(callers);
  } catch (error) {
    const why = error instanceof CallersFileError ? error.message : String(error);
    log.warn({ path, why }, 'known callers were not taken from a file');
  }
}

/** What is no file stays: nobody needs it, and it is not ours. */
async function putAway(path: string, { log }: FallbackOptions): Promise<void> {
  await rm(path, { force: true }).catch((error) =>
    log.warn({ path, err: error }, 'what was left behind of known callers could not be put away'),
  );
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
    known.prune();
    await this.#saveNews();
    if (!this.#isInDoubt || !isStoreUp()) return;
    await this.#askAnew();
    await this.#saveNews();
  }

  async #saveNews(): Promise<void> {
    const { known } = this.#options;
    const news = known.takeNews();
    if (news === 'none') return;
    const isDue = news === 'urgent' || performance.now() - this.#savedAtMs >= saveEveryMs;
    if (!isDue || !(await this.save())) known.giveBackNews(news);
  }

  /** Writes the file, unless there is nobody to write down. False when that fails, which is told once. */
  async save(): Promise<boolean> {
    const { known, folder, log } = this.#options;
    const startMs = performance.now();
    try {
      await writeCallers(join(folder, fileName), known);
      const endMs = performance.now();
      // What takes long is done less often.
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
    const users = new Set(names.map((name) => known.userOfSubject(name)));
    const found = await this.#unchanged(() => findSubjectsOf(db, [...users]));
    const subjects = new Map(found.map(({ issuer, subject, ...user }) => [nameOf(issuer, subject), user]));
    for (const name of names) known.correctSubject(name, subjects.get(name) ?? null);
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
