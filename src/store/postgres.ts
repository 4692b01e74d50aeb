// PostgreSQL as the store wants it: types on the wire, a limit on every step that somebody has to answer, and an end that
// waits for nobody.

import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import type pg from 'pg';
import type { DatabaseOptions } from './database.ts';
import { faultOf, isUnreachable } from './outage.ts';

/** The driver is loaded where there is a PostgreSQL: opening one waits for nothing, so it cannot be imported then. */
const require = createRequire(import.meta.url);

/** How long a connection attempt may take before the database counts as down. */
const connectTimeoutMs = 2_000;
/**
 * How long a transaction may wait for its own client: one that vanished without a word (its host died, the network
 * parted) must not keep the rows it locked. TCP alone would take hours to notice.
 */
const idleInTransactionMs = 5_000;
/** For how much longer than the database may work on a statement its answer is waited for. */
const answerGraceMs = 500;
/** How long the end waits for answers, and for the database to hang up. */
const endMaxMs = 1_000;

/**
 * An exchange names its rows, few of many, and each is found by an index. The planner does not know how few they are, and
 * would rather read whole tables, up to tens of thousands of rows.
 */
const byIndex = { enable_seqscan: 'off' };

export interface PostgresPools {
  readonly dialect: PostgresDialect;
  /** See `Database.exchangePool`. */
  readonly exchangePool: pg.Pool;
  /** Ends all connections, also those that nobody answers. `others`: the end of what uses the dialect. */
  end(others: Promise<void>): Promise<void>;
}

/** Connects when it has to. */
export function openPostgresPools({ url, schema, poolSize, statementTimeoutMs }: DatabaseOptions): PostgresPools {
  const { Pool, types } = require('pg') as typeof pg;
  const sockets = new Set<Socket>();
  const settings = {
    search_path: quoteForOptions(schema),
    TimeZone: 'UTC',
    idle_in_transaction_session_timeout: idleInTransactionMs,
    // The database has to stop as well: one that is slow or waits for a lock would be asked the same again and again.
    ...(statementTimeoutMs !== undefined && { statement_timeout: statementTimeoutMs }),
  };
  const config: pg.PoolConfig = {
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    ...(statementTimeoutMs !== undefined && { query_timeout: statementTimeoutMs + answerGraceMs }),
    keepAlive: true,
    stream: () => openSocket(sockets),
    application_name: 'tollgate',
    options: optionsOf(settings),
    types: { getTypeParser: (oid, format) => parserOf(types, oid, format) },
  };
  const pool = watched(new Pool({ ...config, max: Math.max(1, poolSize - 1) }));
  const exchangePool = watched(
    new Pool({ ...config, options: optionsOf({ ...settings, ...byIndex }), max: 1, pipeline: true }),
  );
  const end = (others: Promise<void>) => endAll(sockets, [others, exchangePool.end()]);
  return { dialect: new PostgresDialect({ pool: withoutTheDead(pool) }), exchangePool, end };
}

function watched(pool: pg.Pool): pg.Pool {
  // A connection that breaks is replaced by the pool, and its queries fail. Without a listener, on the pool for idle
  // connections and on each client for busy ones, it would end the process as well.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

function openSocket(sockets: Set<Socket>): Socket {
  const socket = new Socket();
  sockets.add(socket);
  return socket.once('close', () => sockets.delete(socket));
}

/**
 * A client that nobody has answered is asked nothing more and does not come back: pg would queue what comes next behind
 * the statement that hangs, the ROLLBACK first of all.
 */
function withoutTheDead(pool: pg.Pool): PostgresPool {
  const connect = async () => {
    const client = await pool.connect();
    let death: unknown = null;
    const query = async (text: string, values: readonly unknown[]) => {
      if (death !== null) throw death;
      try {
        return await client.query(text, [...values]);
      } catch (error) {
        if (isUnreachable(faultOf(error).code)) death = error;
        throw error;
      }
    };
    // What Kysely may ask as well, cursors, is not asked of the store.
    return { query, release: () => client.release(death !== null) } as unknown as PostgresPoolClient;
  };
  return { connect, end: () => pool.end() };
}

/** A pool waits for clients in use, and says goodbye to the others: on a line that is dead for ever, were it not cut. */
async function endAll(sockets: ReadonlySet<Socket>, ends: readonly Promise<void>[]): Promise<void> {
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, endMaxMs);
  await Promise.all(ends);
  await Promise.all([...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  clearTimeout(cut);
}

/** The `options` start-up parameter that makes these settings. */
function optionsOf(settings: Readonly<Record<string, string | number>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/** An identifier inside the `options` start-up parameter: quoted for SQL, spaces and backslashes escaped for libpq. */
function quoteForOptions(schema: string): string {
  return `"${schema.replaceAll('"', '""')}"`.replaceAll('\\', '\\\\').replaceAll(' ', '\\ ');
}

/** bigint and numeric (what `sum(bigint)` gives) arrive as text: made numbers here, once, and asserted safe. */
function parserOf(types: typeof pg.types, oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === types.builtins.INT8 || oid === types.builtins.NUMERIC) return safeInteger;
  if (oid === types.builtins.TIMESTAMPTZ) return (value) => new Date(value).toISOString();
  return types.getTypeParser(oid, format ?? 'text');
}

function safeInteger(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`the database holds ${value}, beyond 2^53 − 1`);
  return number;
}
