// A PostgreSQL with all that pages show: beside users, keys and a ledger, people who have signed in, thirty days of use with
// its totals, one user with very many entries, and gateways with leases.

import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Database, Db } from '../../../src/store/database.ts';
import { fill, settleDown } from '../growth/fill.ts';

export interface PagesSize {
  readonly users: number;
  /** Entries of the ledger, those with which users begin included. */
  readonly rows: number;
}

/** Who has more entries than anybody else. */
export const busyUser = 'user-busy';
/** How many, where there are enough. */
const busyEntriesMax = 100_000;
const busyKeys = 20;
/** Days of use, up to today. */
const days = 30;
const instances = 4;

/** The hash of the session of a user. */
export function sessionHashOf(userId: string): string {
  return createHash('sha256').update(userId).digest('hex');
}

/** Fills an empty database. */
export async function fillPages(database: Database, { users, rows }: PagesSize): Promise<void> {
  const busyEntries = Math.min(busyEntriesMax, Math.floor(rows / 2));
  await fill(database, { users, charges: Math.max(0, rows - busyEntries - users) });
  const { db } = database;
  await addBusyUser(db, busyEntries);
  await addFacts(db);
  await addUse(db);
  await settleDown(database);
}

/** Charges of several keys and routes, now and then a top-up, and one refund at the very beginning. */
async function addBusyUser(db: Db, entries: number): Promise<void> {
  await sql`INSERT INTO ledger (id, user_id, kind, amount, route, key_id, request_id, status, ended, actor, created_at)
    SELECT lpad(to_hex(ms), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'), ${busyUser}, kind,
      CASE WHEN kind = 'charge' THEN -1 ELSE 5000 END, 'route-' || n % 10, 'key_busy_' || n % ${busyKeys}::bigint,
      'request-' || n, 200, 'delivered', 'bench', now() - (${entries}::bigint - n) * interval '10 seconds'
    FROM (SELECT n, 4294967295 - (${entries}::bigint - n) AS ms,
        CASE WHEN n = 1 THEN 'refund' WHEN n % 1000 = 0 THEN 'topup' ELSE 'charge' END AS kind
      FROM generate_series(1, ${entries}::bigint) AS s(n)) AS numbered`.execute(db);
  await sql`INSERT INTO users (id, name, credits, posted)
    SELECT user_id, user_id, sum(amount), 1 FROM ledger WHERE user_id = ${busyUser} GROUP BY user_id`.execute(db);
  await sql`INSERT INTO api_keys (id, user_id, name, hash, hint)
    SELECT 'key_busy_' || n, ${busyUser}, 'bench', 'busy ' || n, 'tg_bench'
    FROM generate_series(0, ${busyKeys - 1}::bigint) AS s(n)`.execute(db);
}

/** Names, addresses and times that differ, a session each, and gateways that have reserved credits. */
async function addFacts(db: Db): Promise<void> {
  await sql`UPDATE users SET name = 'User ' || n, email = 'u' || n * 7919 % 1000003 || '.' || n || '@b.example',
      created_at = now() - n * interval '1 minute'
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM users) AS numbered
    WHERE users.id = numbered.id`.execute(db);
  await sql`INSERT INTO sessions (hash, user_id, provider, expires_at)
    SELECT encode(sha256(id::bytea), 'hex'), id, 'bench', now() + interval '1 day' FROM users`.execute(db);
  await sql`INSERT INTO instances (id, seq) SELECT 'instance-' || n, 1
    FROM generate_series(1, ${instances}::bigint) AS s(n)`.execute(db);
  await sql`INSERT INTO leases (user_id, key_id, instance, amount) SELECT users.id, '', instances.id, 16
    FROM (SELECT id FROM users ORDER BY id LIMIT 5000) AS users, instances`.execute(db);
}

async function addUse(db: Db): Promise<void> {
  await sql`INSERT INTO usage_hourly (user_id, hour, route, calls, charged, failed, refused)
    SELECT u.id, date_trunc('day', now(), 'UTC') - d * interval '1 day' + (u.n + d * 5 + h) % 24 * interval '1 hour',
      'route-' || (u.n + r) % 10, 20 + u.n % 7, 40 + h, 1, 0
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM users) AS u, generate_series(0, ${days - 1}::int) AS d,
      generate_series(0, 7) AS h, generate_series(0, (u.n + h) % 2) AS r`.execute(db);
  const sums = sql`sum(calls), sum(charged), sum(failed), sum(refused)`;
  await sql`INSERT INTO usage_daily SELECT date_trunc('day', hour, 'UTC'), user_id, ${sums} FROM usage_hourly
    WHERE hour > now() - interval '1 year' GROUP BY 1, 2`.execute(db);
  // As four instances or more have written them.
  await sql`INSERT INTO usage_totals SELECT hour, route, abs(hashtext(user_id)) % 4, ${sums} FROM usage_hourly
    WHERE hour > now() - interval '1 year' GROUP BY 1, 2, 3`.execute(db);
}
