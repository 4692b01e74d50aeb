// SQLite for Kysely: transactions take the write lock at once, and wait for it without stopping the process.

import {
  CompiledQuery,
  type DatabaseConnection,
  type QueryResult,
  type SqliteDatabase,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
} from 'kysely';
import { openSqliteFile, patiently } from './sqlite-file.ts';

/** Opens or creates the file. */
export function openSqliteDialect(path: string): SqliteDialect {
  // The driver calls what a statement has; only its type is narrower than that of better-sqlite3.
  return new PatientSqliteDialect({ database: openSqliteFile(path) as unknown as SqliteDatabase });
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

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return patiently(() => this.#connection.executeQuery<R>(query));
  }

  streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    return this.#connection.streamQuery<R>(query, chunkSize);
  }
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
