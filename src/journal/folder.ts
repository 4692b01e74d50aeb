// The folder of one process below `dataDir`, which is its own as long as it holds the lock in it. A lock ends with its
// process: a folder that nobody has locked was left behind, and whoever locks it first looks after it.

import { strict as assert } from 'node:assert';
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { lockFile } from '../store/file-lock.ts';

const prefix = 'instance-';
const lockName = 'lock';

export interface InstanceFolder {
  readonly path: string;
  /** Removes what is in it, but for the lock. */
  empty(): void;
  /** Leaves it as it is, for whoever comes. */
  release(): void;
  /** Removes it, if there is nothing in it any more, and leaves it. */
  discard(): void;
}

/** Makes a folder for this process. Throws what the system says when it cannot. */
export function makeInstanceFolder(dataDir: string): InstanceFolder {
  const path = join(dataDir, `${prefix}${uuidv7()}`);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const folder = lockFolder(path);
  assert.ok(folder !== null, 'nobody else knows of a folder that was just made');
  return folder;
}

/** Locks every folder that was left behind; those of living processes stay untouched. */
export function lockAbandonedFolders(dataDir: string): InstanceFolder[] {
  return pathsOfFolders(dataDir)
    .map(lockFolder)
    .filter((folder) => folder !== null);
}

/** All folders of processes, living or gone. */
export function pathsOfFolders(dataDir: string): string[] {
  if (!existsSync(dataDir)) return [];
  const names = readdirSync(dataDir).filter((name) => name.startsWith(prefix));
  return names.sort().map((name) => join(dataDir, name));
}

function lockFolder(path: string): InstanceFolder | null {
  const lockPath = join(path, lockName);
  const lock = isThere(path) ? lockFile(lockPath) : null;
  if (lock === null) return null;
  const release = () => lock.release();
  // Its owner may have discarded it in between: then there is nothing to look after.
  if (!existsSync(lockPath)) {
    release();
    return null;
  }
  const empty = () => {
    for (const name of readdirSync(path).filter((name) => !name.startsWith(lockName))) rmSync(join(path, name));
  };
  return { path, empty, release, discard: () => discardFolder(path, release) };
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** SQLite keeps a second file beside the lock while it is held. */
function discardFolder(path: string, release: () => void): void {
  const names = isThere(path) ? readdirSync(path) : [];
  if (names.every((name) => name.startsWith(lockName))) {
    for (const name of names) rmSync(join(path, name), { force: true });
    try {
      rmdirSync(path);
    } catch {
      // Whoever came in the meantime looks after it.
    }
  }
  release();
}
