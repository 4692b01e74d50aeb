// The real database of a simulation: one file or one PostgreSQL, a connection of its own for each instance, one for the
// operators, one for the auditor. On PostgreSQL two transactions can be made to overlap, always in the same way.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import { startPostgres } from '../../scripts/postgres.ts';
import { type Database, type Db, openDatabase } from '../../src/store/database.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { asksOf, type StoreAsks } from '../../src/store/sync/door.ts';
import type { Dialect } from '../helpers/databases.ts';
import { type BooksReader, openPostgresBooks, openSqliteBooks } from './books.ts';
import { Gate } from './gate.ts';

/** How many instances may run at once. */
export const slotsMax = 4;

/** What a world leaves behind. */
const tables = [
  ...['leases', 'instances', 'changes', 'usage_hourly', 'usage_daily', 'usage_totals'],
  ...['ledger', 'api_keys', 'users'],
];

export interface Stores {
  readonly dialect: Dialect;
  readonly doors: readonly StoreAsks[];
  /** For the folders of processes. */
  readonly folder: string;
  /** For operators and hand-made SQL. */
  readonly db: Db;
  readonly books: BooksReader;
  /** Locks a user's row until the function that is returned is called. On PostgreSQL only. */
  lockUser(user: string): Promise<() => Promise<void>>;
  /** Runs `first` up to its second round trip, then `second` as far as it gets, then the rest of both. */
  overlap(slot: number, first: () => Promise<void>, other: number, second: () => Promise<void>): Promise<void>;
  /** Begins a hand-made change, runs `meanwhile` as far as it gets, and commits. */
  editMeanwhile(text: string, values: unknown[], slot: number, meanwhile: () => Promise<void>): Promise<void>;
  /** Forgets all users, instances and books. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export function openStores(dialect: Dialect): Promise<Stores> {
  return dialect === 'sqlite' ? openSqliteStores() : openPostgresStores();
}

async function openSqliteStores(): Promise<Stores> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-simulation-'));
  const path = join(folder, 'tollgate.db');
  const open = async () => {
    const database = openDatabase({ url: `sqlite:${path}`, schema: 'public', poolSize: 1 });
    // No simulation survives the machine's power.
    await sql`PRAGMA synchronous = OFF`.execute(database.db);
    return database;
  };
  const operators = await open();
  await migrateUp(operators);
  // One file serves many worlds, and each begins with an empty ledger.
  await sql`DROP TRIGGER tollgate_ledger_undeleted`.execute(operators.db);
  const slots = await Promise.all(Array.from({ length: slotsMax }, open));
  const books = openSqliteBooks(path);
  const never = async () => {
    throw new Error('on SQLite no two transactions overlap');
  };
  return {
    dialect: 'sqlite',
    folder,
    doors: slots.map((database) => asksOf(database)),
    db: operators.db,
    books,
    lockUser: never,
    overlap: never,
    editMeanwhile: never,
    clear: async () => {
      for (const table of tables) await sql`DELETE FROM ${sql.table(table)}`.execute(operators.db);
    },
    close: async () => {
      await books.close();
      await Promise.all([operators, ...slots].map((database) => database.close()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openPostgresStores(): Promise<Stores> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-simulation-'));
  const given = process.env['TEST_DATABASE_URL'];
  const server = given === undefined || given === '' ? await startPostgres() : null;
  const home = server?.url ?? given ?? '';
  const name = `simulation_${randomBytes(8).toString('hex')}`;
  await runOnce(home, `CREATE DATABASE ${name} TEMPLATE template0`);
  const url = Object.assign(new URL(home), { pathname: `/${name}` }).href;
  const open = (): Database => openDatabase({ url, schema: 'public', poolSize: 2 });
  const operators = open();
  await migrateUp(operators);
  const slots = Array.from({ length: slotsMax }, open);
  const gates = slots.map(({ exchangePool }) => new Gate(exchangePool as pg.Pool));
  const books = await openPostgresBooks(url, 'public');
  const hand = new pg.Client({ connectionString: url });
  const watcher = new pg.Client({ connectionString: url });
  await Promise.all([hand.connect(), watcher.connect()]);
  /** Until the slot's exchange is at its end, or waits for a lock. */
  const asFarAsItGets = async (slot: number, work: Promise<void>) => {
    let isOver = false;
    void work.finally(() => {
      isOver = true;
    });
    const text = 'SELECT 1 FROM pg_locks WHERE NOT granted AND pid = $1';
    while (!isOver) {
      const { rows } = await watcher.query(text, [gates[slot]?.processId ?? 0]);
      if (rows.length > 0) return;
    }
  };
  return {
    dialect: 'postgres',
    folder,
    doors: slots.map((database, slot) =>
      asksOf({ ...database, exchangePool: gates[slot]?.pool ?? database.exchangePool }),
    ),
    db: operators.db,
    books,
    lockUser: async (user) => {
      await hand.query('BEGIN');
      await hand.query('SELECT 1 FROM users WHERE id = $1 FOR UPDATE', [user]);
      return async () => {
        await hand.query('ROLLBACK');
      };
    },
    overlap: async (slot, first, other, second) => {
      const arrived = gates[slot]?.close();
      const one = first();
      await Promise.race([arrived, one]);
      const two = second();
      await asFarAsItGets(other, two);
      gates[slot]?.open();
      await Promise.all([one, two]);
    },
    editMeanwhile: async (text, values, slot, meanwhile) => {
      await hand.query('BEGIN');
      await hand.query(text, values);
      const work = meanwhile();
      await asFarAsItGets(slot, work);
      await hand.query('COMMIT');
      await work;
    },
    clear: () =>
      operators.db.transaction().execute(async (trx) => {
        // A ledger is never emptied otherwise.
        await sql`ALTER TABLE ledger DISABLE TRIGGER tollgate_ledger_kept`.execute(trx);
        for (const table of tables) await sql`TRUNCATE ${sql.table(table)} CASCADE`.execute(trx);
        await sql`ALTER TABLE ledger ENABLE TRIGGER tollgate_ledger_kept`.execute(trx);
      }),
    close: async () => {
      await Promise.all([books.close(), hand.end(), watcher.end()]);
      await Promise.all([operators, ...slots].map((database) => database.close()));
      await rm(folder, { recursive: true, force: true });
      await runOnce(home, `DROP DATABASE ${name} WITH (FORCE)`);
      await server?.stop();
    },
  };
}

async function runOnce(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(statement);
  await client.end();
}
