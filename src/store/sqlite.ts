// SQLite as the store wants it: durable, waiting for locks without stopping the process, and with every statement
// prepared once and kept.

import { strict as assert } from 'node:assert';
import { setTimeout } from 'node:timers/promises';
import BetterSqlite from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  type QueryResult,
  type SqliteDatabase,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely';

/** How long SQLite waits for another process's write before it gives up. */
const sqliteBusyTimeoutMs = 5_000;
/** How often it looks again in that time. */
const sqliteRetryMs = 5;
/** Texts of statements in one process. They do not depend on the number of rows, so this many mean that one does. */
const statementsMax = 2_000;

/** Opens or creates the file. */
export function openSqliteDialect(path: string): SqliteDialect {
  const sqlite = new BetterSqlite(path);
  // exec, because pragma makes statements that are let go; see KeptStatements.
  sqlite.exec(`PRAGMA busy_timeout = ${sqliteBusyTimeoutMs}`);
  sqlite.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 0',
  );
  return new PatientSqliteDialect({ database: new KeptStatements(sqlite) });
}

/** What native objects were ever made, so that none is ever collected. */
const kept: unknown[] = [];

/**
 * Prepares each text once, which is faster, and never lets go of a native object, not even after the database was closed:
 * from Node 24.19 on, a collection that does not begin in JavaScript ends the process when it meets an object of
 * better-sqlite3 before version 13, and that one does not run on Node 20.
 */
class KeptStatements implements SqliteDatabase {
  readonly #sqlite: BetterSqlite.Database;
  readonly #statements = new Map<string, BetterSqlite.Statement>();

  constructor(sqlite: BetterSqlite.Database) {
    this.#sqlite = sqlite;
    kept.push(sqlite, this.#statements);
  }

  prepare(text: string): SqliteStatement {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      assert.ok(this.#statements.size < statementsMax, 'the text of a statement does not depend on the number of rows');
      statement = this.#sqlite.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement as unknown as SqliteStatement;
  }

  close(): void {
    this.#sqlite.close();
  }
}

/**
 * SQLite's own `BEGIN` is deferred: a transaction that reads first and writes later fails when another process wrote in
 * between. Ours takes the write lock at once. And its own waiting for a lock stops the whole process, the holder of
 * the lock included where that is another handle of this process; ours lets the event loop turn.
 */
class PatientSqliteDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('BEGIN IMMEDIATE'));
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    return new PatientConnection(await super.acquireConnection());
  }
}

class PatientConnection implements DatabaseConnection {
  readonly #connection: DatabaseConnection;

  constructor(connection: DatabaseConnection) {
    this.#connection = connection;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const deadline = performance.now() + sqliteBusyTimeoutMs;
    for (;;) {
      try {
        return await this.#connection.executeQuery<R>(query);
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) throw error;
        await setTimeout(sqliteRetryMs);
      }
    }
  }

  streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    return this.#connection.streamQuery<R>(query, chunkSize);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof BetterSqlite.SqliteError && error.code.startsWith('SQLITE_BUSY');
}

class PatientSqliteDialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig;

  constructor(config: SqliteDialectConfig) {
    super(config);
    this.#config = config;
  }

  override createDriver(): SqliteDriver {
    return new PatientSqliteDriver(this.#config);
  }
}
