// The file that the journal is writing: whole lines or none, and forced to the disk as often as the policy says.

import type { Clock } from '../clock.ts';
import type { Files } from './files.ts';

/** When what was written is forced to the disk: at the end of each turn, each 100 ms, or as the system likes. */
export type FsyncPolicy = 'always' | 'interval' | 'never';

const fsyncIntervalMs = 100;

export interface WriterOptions {
  readonly files: Files;
  readonly fsync: FsyncPolicy;
  readonly clock: Clock;
  /** The disk could not vouch for what was written to the file that is open. */
  readonly onSyncFailed: (error: Error) => void;
}

export class Writer {
  readonly #options: WriterOptions;
  #fd: number | null = null;
  #length = 0;
  #isSyncDue = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#fd !== null;
  }

  /** Makes the file, with what is first in it. Throws what the system says, and then there is no file. */
  open(path: string, text: string): void {
    const { files } = this.#options;
    this.#length = 0;
    try {
      this.#fd = files.create(path);
      this.write(text);
    } catch (error) {
      this.abandon();
      files.remove(path);
      throw error;
    }
  }

  /** Writes all of the text or, with what the system says, none of it. */
  write(text: string): void {
    const { files, fsync } = this.#options;
    const fd = this.#fd as number;
    const bytes = Buffer.from(text);
    try {
      for (let from = 0; from < bytes.length; ) {
        const written = files.write(fd, bytes, from);
        if (written === 0) throw new Error('nothing was written');
        from += written;
      }
    } catch (error) {
      // A reader tells half a line from a whole one; without it there is less to wonder about.
      files.truncate(fd, this.#length);
      throw error;
    }
    this.#length += bytes.length;
    if (fsync === 'always') files.syncNow(fd);
    else if (fsync === 'interval') this.#syncSoon();
  }

  get length(): number {
    return this.#length;
  }

  #syncSoon(): void {
    if (this.#isSyncDue) return;
    this.#isSyncDue = true;
    this.#options.clock.after(fsyncIntervalMs, () => {
      this.#isSyncDue = false;
      const fd = this.#fd;
      if (fd !== null) this.#options.files.syncSoon(fd, (error) => error !== null && this.#syncFailed(error, fd));
    });
  }

  #syncFailed(error: Error, fd: number | null): void {
    // Of a file that was given up meanwhile nobody expects anything.
    if (fd === this.#fd) this.#options.onSyncFailed(error);
  }

  /** Closes the file when the disk has all of it; whoever ends the process waits for that with `isLast`. */
  close(isLast: boolean): void {
    const { files, fsync, onSyncFailed } = this.#options;
    const fd = this.#fd;
    if (fd === null) return;
    this.#fd = null;
    if (fsync === 'interval' && !isLast) {
      files.syncSoon(fd, (error) => {
        files.close(fd);
        if (error !== null) onSyncFailed(error);
      });
      return;
    }
    try {
      if (fsync !== 'never') files.syncNow(fd);
    } finally {
      files.close(fd);
    }
  }

  /** Closes the file, whatever has become of it. */
  abandon(): void {
    if (this.#fd === null) return;
    try {
      this.#options.files.close(this.#fd);
    } catch {
      // It has failed before, which was told.
    }
    this.#fd = null;
  }
}
