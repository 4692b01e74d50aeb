// A lock on a file that ends with the process that holds it, however that ends. Node has none of its own; SQLite has: the
// system's lock on its database file, here of a database that stays empty.

import BetterSqlite from 'better-sqlite3';

export interface FileLock {
  release(): void;
}

/** Native objects are never let go, see sqlite.ts. */
const kept: BetterSqlite.Database[] = [];

/** Takes the lock on a file, which is made when there is none. Null while somebody else holds it, in this process or another. */
export function lockFile(path: string): FileLock | null {
  const sqlite = new BetterSqlite(path, { timeout: 0 });
  kept.push(sqlite);
  try {
    sqlite.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    sqlite.close();
    if (error instanceof BetterSqlite.SqliteError && error.code.startsWith('SQLITE_BUSY')) return null;
    throw error;
  }
  return { release: () => void sqlite.close() };
}
