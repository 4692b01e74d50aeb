// Opens the database and owns what differs between PostgreSQL and SQLite in SQL: the few fragments that the dialects
// spell differently. The tables are typed here, once. Nothing outside store/ and migrations/ sees a driver.

import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Generated, Kysely, PostgresAdapter, type RawBuilder, sql, type Transaction } from 'kysely';
import type pg from 'pg';
import { openPostgresPools } from './postgres.ts';
import { openSqliteDialect } from './sqlite.ts';

export type LedgerKind = 'signup' | 'charge' | 'grant' | 'topup' | 'refund' | 'adjustment';

/**
 * How a call ended that was charged. `delivered`: its answer whole. `caller-left`: the caller left after the upstream had
 * answered, `caller-left-early` before it did. `caller-stalled`: the caller stopped reading until a limit cut it.
 * `upgraded`: the upstream accepted an upgrade.
 */
export const endings = ['delivered', 'caller-left', 'caller-left-early', 'caller-stalled', 'upgraded'] as const;
export type Ending = (typeof endings)[number];

/** '' nobody asked; 'asked' another instance needs these credits; 'answered' this instance keeps only what is in use. */
export type Recall = '' | 'asked' | 'answered';

/** The tables. Times are RFC 3339 text in UTC on both dialects; credits are integers within ±(2^53 − 1). */
export interface Tables {
  users: {
    id: Generated<string>;
    email: string | null;
    name: string;
    picture: string | null;
    plan: Generated<string>;
    credits: Generated<number>;
    /** How many times the gateway itself changed `credits`: a change without it is a hand-made edit. */
    posted: Generated<number>;
    created_at: Generated<string>;
    updated_at: Generated<string>;
    blocked_at: string | null;
  };
  ledger: {
    id: string;
    user_id: string;
    kind: LedgerKind;
    amount: number;
    route: string | null;
    key_id: string | null;
    request_id: string | null;
    status: number | null;
    actor: string | null;
    note: string | null;
    ended: Ending | null;
    created_at: Generated<string>;
  };
  usage_hourly: {
    user_id: string;
    hour: string;
    route: string;
    calls: number;
    charged: number;
    failed: number;
    refused: number;
  };
  /** `usage_hourly` over all users; what an hour and a route come to is the sum of their shards. */
  usage_totals: {
    hour: string;
    route: string;
    shard: number;
    calls: number;
    charged: number;
    failed: number;
    refused: number;
  };
  /** `usage_hourly` over the hours and routes of a day, which is told by where it begins. */
  usage_daily: { day: string; user_id: string; calls: number; charged: number; failed: number; refused: number };
  api_keys: {
    id: string;
    user_id: string;
    name: string;
    /** SHA-256 of the key, hex. */
    hash: string;
    /** The key before the last rotation, good until `previous_expires_at`. */
    previous_hash: string | null;
    previous_expires_at: string | null;
    /** The first characters, so that people recognise a key that is shown only once. */
    hint: string;
    limit_credits: number | null;
    spent: Generated<number>;
    expires_at: string | null;
    revoked_at: string | null;
    last_used_at: string | null;
    created_at: Generated<string>;
  };
  /** By what users are known elsewhere: a subject of an issuer. */
  identities: { issuer: string; subject: string; user_id: string; created_at: Generated<string> };
  sessions: {
    /** SHA-256 of what the cookie holds, hex. */
    hash: string;
    user_id: string;
    provider: string;
    vouched_email: string | null;
    created_at: Generated<string>;
    used_at: Generated<string>;
    expires_at: string;
  };
  leases: { user_id: string; key_id: string; instance: string; amount: number; recall: Recall };
  instances: { id: string; seq: number; fenced: Generated<boolean>; started_at: Generated<string> };
  /** Keys, users and sessions that changed, noted by triggers for every instance to read. */
  changes: { id: Generated<number>; kind: 'key' | 'user' | 'session'; ref: string; at: Generated<string> };
  idempotency_keys: {
    key: string;
    user_id: string;
    request: string;
    entry_id: string;
    answer: string | null;
    created_at: Generated<string>;
  };
}

export type Db = Kysely<Tables>;
export type Trx = Transaction<Tables>;

/** An open database. */
export interface Database {
  readonly db: Db;
  /** One connection for the exchange alone, which pipelines and must not queue behind look-ups; null on SQLite. */
  readonly exchangePool: pg.Pool | null;
  /** The file of SQLite; null on PostgreSQL. */
  readonly file: string | null;
  readonly schema: string;
  /** Safe to call twice. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** `sqlite:PATH` or `postgres://…`. */
  readonly url: string;
  /** PostgreSQL schema that holds the tables. */
  readonly schema: string;
  readonly poolSize: number;
  /**
   * PostgreSQL: how long one statement may take. Without it as long as it likes, as commands and migrations must. SQLite
   * has a limit of its own for what may take long there, the wait for its lock.
   */
  readonly statementTimeoutMs?: number;
}

/** Opens the database. PostgreSQL connects lazily, so that a gateway can start while it is down. */
export function openDatabase(options: DatabaseOptions): Database {
  return options.url.startsWith('sqlite:') ? openSqlite(options) : openPostgres(options);
}

function openSqlite({ url, schema }: DatabaseOptions): Database {
  const file = url.slice('sqlite:'.length);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // Made with mode 0600 before SQLite opens it: its own default would let every local user read balances.
  closeSync(openSync(file, 'a', 0o600));
  const db = new Kysely<Tables>({ dialect: openSqliteDialect(file) });
  return { db, exchangePool: null, file, schema, close: () => db.destroy() };
}

function openPostgres(options: DatabaseOptions): Database {
  const { dialect, exchangePool, end } = openPostgresPools(options);
  const db = new Kysely<Tables>({ dialect });
  let closing: Promise<void> | null = null;
  const close = () => {
    closing ??= end(db.destroy());
    return closing;
  };
  return { db, exchangePool, file: null, schema: options.schema, close };
}

/** One transaction. Whatever the database's default, each statement sees what was committed before it: also what a lock waited for. */
export function transact<T>(db: Db, work: (trx: Trx) => Promise<T>): Promise<T> {
  return db.transaction().setIsolationLevel('read committed').execute(work);
}

/** True on PostgreSQL, false on SQLite. */
export function isPostgres(db: Kysely<Tables> | Kysely<unknown>): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

/** Types of the columns that rows bring along. */
export type ColumnType = 'text' | 'bigint' | 'timestamptz';

/**
 * Rows as a derived table: one JSON parameter whatever their number, so that a statement's text never changes.
 * `columns` names the columns and their types; values are read by these names.
 */
export function rowsOf(db: Db, columns: Record<string, ColumnType>, rows: readonly object[]): RawBuilder<unknown> {
  const json = JSON.stringify(rows);
  const names = Object.entries(columns);
  if (isPostgres(db)) {
    const list = names.map(([name, type]) => sql`${sql.ref(name)} ${sql.raw(type)}`);
    return sql`jsonb_to_recordset(${json}::jsonb) AS v(${sql.join(list)})`;
  }
  const list = names.map(([name]) => sql`value ->> ${sql.lit(name)} AS ${sql.ref(name)}`);
  return sql`(SELECT ${sql.join(list)} FROM json_each(${json})) AS v`;
}

/** `column IN (ids)` with one parameter whatever their number. */
export function isOneOf(db: Db, column: string, ids: readonly string[]): RawBuilder<boolean> {
  return isPostgres(db)
    ? sql<boolean>`${sql.ref(column)} = ANY(${ids}::text[])`
    : sql<boolean>`${sql.ref(column)} IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`;
}
