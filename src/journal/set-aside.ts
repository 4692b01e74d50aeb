// What cannot be booked and must not be lost: it is put into files of `dataDir/set-aside`, for people to look into.

import { appendFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { BaseLogger } from 'pino';

export class SetAside {
  readonly #folder: string;
  readonly #log: BaseLogger;
  readonly #onCharge: () => void;

  /** `onCharge` is told of each charge, and of each line that may have been one. */
  constructor(dataDir: string, log: BaseLogger, onCharge: () => void) {
    this.#folder = join(dataDir, 'set-aside');
    this.#log = log;
    this.#onCharge = onCharge;
  }

  /** One line of JSON in a file for each day. `what` is a charge, or a line that could not be read. */
  add(what: unknown, why: string): void {
    const at = new Date().toISOString();
    this.#log.error({ setAside: what, why }, 'a charge was set aside');
    this.#onCharge();
    this.#attempt(() => {
      const path = join(this.#folder, `charges-${at.slice(0, 10)}.jsonl`);
      appendFileSync(path, `${JSON.stringify({ at, why, what })}\n`, { mode: 0o600, flush: true });
    });
  }

  /** A whole file of a journal. */
  addFile(path: string, why: string): void {
    const target = join(this.#folder, `${basename(dirname(path))}-${basename(path)}`);
    this.#log.error({ path: target, why }, 'a file of the journal was set aside');
    this.#attempt(() => renameSync(path, target));
  }

  #attempt(work: () => void): void {
    try {
      // Not with all above it: on Node.js 20 that never returns where the working directory is gone.
      if (!existsSync(this.#folder)) mkdirSync(this.#folder, { mode: 0o700 });
      work();
    } catch (error) {
      this.#log.error({ err: error }, 'what was set aside could not be written: this log is all that is left of it');
    }
  }
}
