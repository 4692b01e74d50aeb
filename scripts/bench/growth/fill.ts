// A database of any size, filled by the database itself: users with a key each, what they began with, and charges since
// then. The ledger comes first and the balances are its sums, so the books are right by themselves; the triggers that would
// book each row are off meanwhile, and the large index is built at the end.

import { sql } from 'kysely';
import { type Database, type Db, isPostgres, type Trx } from '../../../src/store/database.ts';
import { migrateUp } from '../../../src/store/migrate.ts';
import { rebuildingIndex, withoutTriggers } from './aside.ts';

/** How much a database holds. */
export interface Size {
  readonly users: number;
  /** Charges in the ledger, beside the entry with which each user begins. */
  readonly charges: number;
}

const batchMax = 1_000_000;
const signUpCredits = 2 ** 40;
/** When the first of them was booked, 2024-01-01, and how long one comes after the other. */
const firstMs = 1_704_067_200_000;
const stepMs = 1_000;
/** Odd, so that multiplying by it modulo 2^32 makes each number another one: neighbours end up far apart, like real ids. */
const spread = 2_654_435_761;

/** The id of the n-th user, from 0. */
export function userIdOf(n: number): string {
  return `user-${String((n * spread) % 2 ** 32).padStart(10, '0')}`;
}

/** Fills an empty database. */
export async function fill(database: Database, { users, charges }: Size): Promise<void> {
  await migrateUp(database);
  await database.db.transaction().execute((trx) =>
    withoutTriggers(trx, ['users', 'ledger', 'api_keys'], async () => {
      await rebuildingIndex(trx, 'ledger_by_user', async () => {
        await addEntries(trx, { kind: 'signup', amount: signUpCredits, first: 0, count: users, users });
        await addEntries(trx, { kind: 'charge', amount: -1, first: users, count: charges, users });
      });
      await addUsers(trx);
    }),
  );
}

/** Brings it to where one is that has grown by and by: known to the planner, and nothing left to write. */
export async function settleDown({ db }: Database): Promise<void> {
  if (!isPostgres(db)) return;
  await sql`VACUUM (ANALYZE)`.execute(db);
  await sql`CHECKPOINT`.execute(db);
}

interface Entries {
  readonly kind: 'signup' | 'charge';
  readonly amount: number;
  /** The number of the first entry: they are counted from 0, in the order of their time. */
  readonly first: number;
  readonly count: number;
  readonly users: number;
}

async function addEntries(trx: Trx, { kind, amount, first, count, users }: Entries): Promise<void> {
  const { series, hex, userId, timeOf } = dialectOf(trx);
  for (let from = first; from < first + count; from += batchMax) {
    const to = Math.min(from + batchMax, first + count) - 1;
    const user = kind === 'signup' ? 'n' : `((n * ${spread}) % 4294967296) % ${users}`;
    const ms = `(${firstMs} + n * ${stepMs})`;
    // UUIDv7: the time first. The rest is the number, which makes it one of its kind.
    const id = `substr(${hex(ms)}, 1, 8) || '-' || substr(${hex(ms)}, 9, 4) || '-7000-8000-' || ${hex('n')}`;
    const charge = kind === 'charge' ? `'/', 200` : 'NULL, NULL';
    await sql
      .raw(`INSERT INTO ledger (id, user_id, kind, amount, actor, route, status, created_at)
        SELECT ${id}, ${userId(`(${user})`)}, '${kind}', ${amount}, 'bench', ${charge}, ${timeOf(ms)}
        FROM ${series(from, to)}`)
      .execute(trx);
  }
}

/** Everybody with entries, with their sum as a balance, a key, and what the calls of their first hour came to. */
async function addUsers(trx: Trx): Promise<void> {
  const { hash, timeOf } = dialectOf(trx);
  const statements = [
    `INSERT INTO users (id, name, credits, posted)
      SELECT user_id, user_id, sum(amount), count(*) FROM ledger GROUP BY user_id`,
    `INSERT INTO api_keys (id, user_id, name, hash, hint)
      SELECT 'key_' || id, id, 'bench', ${hash('id')}, 'tg_bench' FROM users`,
    `INSERT INTO usage_hourly (user_id, hour, route, calls, charged, failed, refused)
      SELECT id, ${timeOf(String(firstMs))}, '/', posted - 1, posted - 1, 0, 0 FROM users`,
    // The first hour is that of midnight, where its day begins too.
    `INSERT INTO usage_daily (day, user_id, calls, charged, failed, refused)
      SELECT hour, user_id, calls, charged, failed, refused FROM usage_hourly`,
    `INSERT INTO usage_totals (hour, route, shard, calls, charged, failed, refused)
      SELECT hour, route, 0, sum(calls), sum(charged), 0, 0 FROM usage_hourly GROUP BY hour, route`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(trx);
}

/** What the dialects spell differently. `n` is the column of the series; expressions are SQL. */
interface Spelling {
  readonly series: (from: number, to: number) => string;
  /** Twelve digits. */
  readonly hex: (integer: string) => string;
  readonly userId: (n: string) => string;
  readonly timeOf: (ms: string) => string;
  /** 64 digits that nobody knows a key for. */
  readonly hash: (text: string) => string;
}

const postgres: Spelling = {
  series: (from, to) => `generate_series(${from}::bigint, ${to}::bigint) AS s(n)`,
  hex: (integer) => `lpad(to_hex(${integer}), 12, '0')`,
  userId: (n) => `'user-' || lpad(((${n} * ${spread}) % 4294967296)::text, 10, '0')`,
  timeOf: (ms) => `to_timestamp(${ms} / 1000.0)`,
  hash: (text) => `encode(sha256(${text}::bytea), 'hex')`,
};

const sqlite: Spelling = {
  series: (from, to) =>
    `(WITH RECURSIVE s(n) AS (SELECT ${from} UNION ALL SELECT n + 1 FROM s WHERE n < ${to}) SELECT n FROM s)`,
  hex: (integer) => `printf('%012x', ${integer})`,
  userId: (n) => `'user-' || printf('%010d', (${n} * ${spread}) % 4294967296)`,
  timeOf: (ms) => `strftime('%Y-%m-%dT%H:%M:%fZ', ${ms} / 1000.0, 'unixepoch')`,
  hash: () => 'lower(hex(randomblob(32)))',
};

function dialectOf(db: Db): Spelling {
  return isPostgres(db) ? postgres : sqlite;
}
