// What the journal does to the disk: each step alone, so that a test can let any of them fail.

import { closeSync, fdatasync, fdatasyncSync, fsyncSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export interface Files {
  /** Makes a file that nobody else can read, and sees to it that the folder knows of it. Returns its descriptor. */
  create(path: string): number;
  /** Returns how many bytes were written, which may be too few. */
  write(fd: number, bytes: Buffer, from: number): number;
  truncate(fd: number, length: number): void;
  syncNow(fd: number): void;
  syncSoon(fd: number, done: (error: Error | null) => void): void;
  close(fd: number): void;
  remove(path: string): void;
}

export const systemFiles: Files = {
  create: (path) => {
    const fd = openSync(path, 'ax', 0o600);
    const folder = openSync(dirname(path), 'r');
    fsyncSync(folder);
    closeSync(folder);
    return fd;
  },
  write: (fd, bytes, from) => writeSync(fd, bytes, from),
  truncate: ftruncateSync,
  syncNow: fdatasyncSync,
  syncSoon: fdatasync,
  close: closeSync,
  remove: (path) => rmSync(path, { force: true }),
};
