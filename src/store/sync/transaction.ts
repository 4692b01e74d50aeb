// How the statements of an exchange travel: one transaction, two round trips on PostgreSQL (each a pipeline), one
// IMMEDIATE transaction on SQLite.

import { strict as assert } from 'node:assert';
import type { CompiledQuery } from 'kysely';
import type pg from 'pg';
import type { Database, Db } from '../database.ts';
import type { SqliteThread } from './sqlite-thread.ts';

/** Somebody else has locked what the exchange needs, for longer than `lockTimeoutMs`; nothing was changed. */
export class UsersLockedError extends Error {
  override name = 'UsersLockedError';
}

/** How long the exchange waits for the row of a user that somebody else has locked. */
const lockTimeoutMs = 300;
/** How long one statement may take before its connection counts as dead and is destroyed. */
const statementTimeoutMs = 2_000;

type RowsOf<Q> = Q extends CompiledQuery<infer Row> ? Row[] : never;
type Talk = <T extends CompiledQuery<unknown>[]>(queries: [...T]) => Promise<{ [I in keyof T]: RowsOf<T[I]> }>;
/** The work reads through `talk` and hands back its writes, which are sent together with the COMMIT. */
export type Work<T> = (talk: Talk) => Promise<{ result: T; last: CompiledQuery[] }>;

/** Runs one exchange: what the work reads, then what it writes, all or nothing. */
export type TransactionRunner = <T>(work: Work<T>) => Promise<T>;

/** Runs exchanges on the connections of the database itself. */
export function runnerOf({ db, exchangePool }: Database): TransactionRunner {
  return (work) => (exchangePool === null ? onSqlite(db, work) : onPostgres(exchangePool, work));
}

/** Runs an exchange in the thread of an SQLite file. */
export function onThread<T>(thread: SqliteThread, work: Work<T>): Promise<T> {
  return thread.transact((talk) => work(talk as Talk));
}

function onSqlite<T>(db: Db, work: Work<T>): Promise<T> {
  return db.transaction().execute(async (trx) => {
    const run = async (queries: CompiledQuery<unknown>[]) => {
      const rows: unknown[] = [];
      for (const query of queries) rows.push((await trx.executeQuery(query)).rows);
      return rows;
    };
    const { result, last } = await work(run as Talk);
    await run(last);
    return result;
  });
}

async function onPostgres<T>(pool: pg.Pool, work: Work<T>): Promise<T> {
  const client = await pool.connect();
  try {
    // Under REPEATABLE READ, which a database may have as its default, leases granted while we waited for the lock of
    // their user would not be seen, and their credits be sold again.
    const begin = [
      statement('BEGIN ISOLATION LEVEL READ COMMITTED'),
      statement(`SET LOCAL lock_timeout = ${lockTimeoutMs}`),
    ];
    const talk = async (queries: CompiledQuery<unknown>[]) =>
      (await pipeline(client, [...begin, ...queries])).slice(begin.length);
    const { result, last } = await work(talk as Talk);
    await pipeline(client, [...last, statement('COMMIT')]);
    client.release();
    return result;
  } catch (error) {
    if (isLockTimeout(error)) {
      await pipeline(client, [statement('ROLLBACK')]).then(
        () => client.release(),
        () => client.release(true),
      );
      throw new UsersLockedError('a row or table is locked by another transaction', { cause: error });
    }
    // Its transaction may be open and its answers may still be on the way: the connection is of no more use.
    client.release(true);
    throw error;
  }
}

type Statement = Pick<CompiledQuery, 'sql' | 'parameters'>;

function statement(text: string): Statement {
  return { sql: text, parameters: [] };
}

/** All statements leave at once and are answered in order: one round trip. The first failure is thrown. */
async function pipeline(client: pg.PoolClient, statements: readonly Statement[]): Promise<unknown[][]> {
  const answers = await Promise.allSettled(
    statements.map(({ sql: text, parameters }) =>
      client.query({ text, values: [...parameters], query_timeout: statementTimeoutMs } as pg.QueryConfig),
    ),
  );
  const failed = answers.find((answer) => answer.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  const results = answers.map((answer) => (answer as PromiseFulfilledResult<pg.QueryResult>).value);
  // A COMMIT of a transaction that had failed answers ROLLBACK, without an error.
  const last = results.at(-1);
  assert.ok(statements.at(-1)?.sql !== 'COMMIT' || last?.command === 'COMMIT', 'the transaction was committed');
  return results.map((result) => result.rows);
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03';
}
