// The disks of a world: real folders and files, written by the real journal. A process that dies leaves behind what it had
// written, one that loses its power what the disk had vouched for, and perhaps half a line.

import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Clock } from '../../src/clock.ts';
import type { Files } from '../../src/journal/files.ts';
import { lockFile } from '../../src/store/file-lock.ts';
import type { Random } from '../helpers/random.ts';
import type { Life } from './life.ts';

/** How a process dies: the system still writes what it was given, or it does not. */
export type Death = 'kill' | 'power';

interface OpenFile {
  readonly path: string;
  bytes: number;
  /** What is on the disk for certain. */
  syncedBytes: number;
}

export class Disk {
  readonly counts = { tornLines: 0 };
  readonly #folder: string;
  readonly #random: Random;
  /** Whether all processes share one folder, as workers do. */
  readonly isShared: boolean;
  /** Who has which folder of an instance locked. */
  readonly #holders = new Map<string, Life>();
  /** By process and descriptor. */
  readonly #files = new Map<Life, Map<number, OpenFile>>();

  constructor(folder: string, isShared: boolean, random: Random) {
    rmSync(folder, { recursive: true, force: true });
    this.#folder = folder;
    this.#random = random;
    this.isShared = isShared;
  }

  dataDirOf(slot: number): string {
    const path = join(this.#folder, this.isShared ? 'shared' : `slot-${slot}`);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** To be called before a process looks for what others have left: it locks whatever nobody else has. */
  begin(life: Life): void {
    for (const name of readdirSync(life.dataDir)) {
      const path = join(life.dataDir, name);
      const lock = lockFile(join(path, 'lock'));
      if (lock === null) continue;
      lock.release();
      this.#holders.set(path, life);
    }
  }

  /** It could not start, and has let go of all that it had locked. */
  letGo(life: Life): void {
    for (const [path, holder] of this.#holders) if (holder === life) this.#holders.delete(path);
  }

  filesOf(life: Life, clock: Clock): Files {
    const open = new Map<number, OpenFile>();
    this.#files.set(life, open);
    const sync = (fd: number) => {
      const file = open.get(fd);
      if (file !== undefined) file.syncedBytes = file.bytes;
    };
    return {
      create: (path) => {
        const fd = openSync(path, 'ax', 0o600);
        this.#holders.set(dirname(path), life);
        open.set(fd, { path, bytes: 0, syncedBytes: 0 });
        return fd;
      },
      write: (fd, bytes, from) => {
        const written = writeSync(fd, bytes, from);
        const file = open.get(fd);
        if (file !== undefined) file.bytes += written;
        return written;
      },
      truncate: ftruncateSync,
      syncNow: sync,
      syncSoon: (fd, done) => {
        sync(fd);
        clock.atTurnEnd(() => done(null));
      },
      close: (fd) => {
        open.delete(fd);
        closeSync(fd);
      },
      remove: (path) => rmSync(path, { force: true }),
    };
  }

  /** The process is gone: its files are as its death has left them, and its locks are free. */
  crash(life: Life, death: Death): void {
    for (const [fd, { path, syncedBytes }] of this.#files.get(life) ?? []) {
      closeSync(fd);
      if (death === 'power') truncateSync(path, syncedBytes);
      if (this.#random.percent(30)) this.#tear(path);
    }
    this.#files.delete(life);
    for (const [path, holder] of this.#holders) if (holder === life) this.#unlock(path);
  }

  /** Half a line, as of a write that was under way. */
  #tear(path: string): void {
    this.counts.tornLines += 1;
    appendFileSync(path, '{"crc":"0a1b2c3d","charge":{"n":1,"lease":""'.slice(0, 1 + this.#random.below(40)));
  }

  /** What is locked is a file that is gone with its name: whoever comes next locks another. */
  #unlock(path: string): void {
    this.#holders.delete(path);
    for (const name of ['lock', 'lock-journal']) rmSync(join(path, name), { force: true });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
