// An SQLite file as the store wants it: durable, with waiting for locks that does not stop the thread, and with every
// statement prepared once and kept. Knows nothing of Kysely, so that the thread of the exchange begins quickly.

import { strict as assert } from 'node:assert';
import { setTimeout } from 'node:timers/promises';
import BetterSqlite from 'better-sqlite3';

/** How long SQLite waits for another process's write before it gives up. */
const busyTimeoutMs = 5_000;
/** How often it looks again in that time. */
const retryMs = 5;
/** Texts of statements in one process. They do not depend on the number of rows, so this many mean that one does. */
const statementsMax = 2_000;

/** Opens or creates the file. */
export function openSqliteFile(path: string): KeptStatements {
  const sqlite = new BetterSqlite(path);
  // exec, because pragma makes statements that are let go; see KeptStatements.
  sqlite.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
  sqlite.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 0',
  );
  return new KeptStatements(sqlite);
}

/** What native objects were ever made, so that none is ever collected. */
const kept: unknown[] = [];

/**
 * Prepares each text once, which is faster, and never lets go of a native object, not even after the database was closed:
 * from Node 24.19 on, a collection that does not begin in JavaScript ends the process when it meets an object of
 * better-sqlite3 before version 13, and that one does not run on Node 20.
 */
export class KeptStatements {
  readonly #sqlite: BetterSqlite.Database;
  readonly #statements = new Map<string, BetterSqlite.Statement>();

  constructor(sqlite: BetterSqlite.Database) {
    this.#sqlite = sqlite;
    kept.push(sqlite, this.#statements);
  }

  prepare(text: string): BetterSqlite.Statement {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      assert.ok(this.#statements.size < statementsMax, 'the text of a statement does not depend on the number of rows');
      statement = this.#sqlite.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  close(): void {
    this.#sqlite.close();
  }
}

/** Does something again and again while another process holds the lock. SQLite's own waiting would stop the thread. */
export async function patiently<T>(work: () => T | Promise<T>): Promise<T> {
  const deadline = performance.now() + busyTimeoutMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      await setTimeout(retryMs);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof BetterSqlite.SqliteError && error.code.startsWith('SQLITE_BUSY');
}
