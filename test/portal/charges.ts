// A past for somebody at the portal: charges on several routes and days, booked as the gateway books them.

import { sql } from 'kysely';
import type { Db } from '../../src/store/database.ts';

/** The user with this address. */
export async function userIdOf(db: Db, email: string): Promise<string> {
  const row = await db.selectFrom('users').select('id').where('email', '=', email).executeTakeFirstOrThrow();
  return row.id;
}

export interface Past {
  readonly count: number;
  /** Taken in turn. */
  readonly routes: readonly string[];
  readonly keyId?: string;
}

const daysMax = 30;
const dayMs = 24 * 3_600_000;

/** Charges of one credit, evenly over the last 30 days, with their totals. On SQLite. */
export async function addPast(db: Db, userId: string, { count, routes, keyId }: Past): Promise<void> {
  const sinceMs = Math.ceil(Date.now() / 3_600_000) * 3_600_000 - daysMax * dayMs;
  const stepMs = Math.floor((daysMax * dayMs - 3_600_000) / count);
  const names = sql.join(routes.map((route, place) => sql`(${place}, ${route})`));
  await db.transaction().execute(async (trx) => {
    await sql`
      WITH RECURSIVE
        numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ${count}),
        names (place, route) AS (VALUES ${names})
      INSERT INTO ledger (id, user_id, kind, amount, route, key_id, request_id, status, ended, created_at)
      SELECT printf('01800000-0000-7000-8000-%012x', n), ${userId}, 'charge', -1, route, ${keyId ?? null},
        'request-' || n, 200, 'delivered',
        strftime('%Y-%m-%dT%H:%M:%fZ', (${sinceMs} + n * ${stepMs}) / 1000.0, 'unixepoch')
      FROM numbers JOIN names ON place = n % ${routes.length}`.execute(trx);
    await sql`
      INSERT INTO usage_hourly (user_id, hour, route, calls, charged, failed, refused)
      SELECT user_id, substr(created_at, 1, 13) || ':00:00.000Z', route, count(*), -sum(amount), 0, 0
      FROM ledger WHERE user_id = ${userId} AND id LIKE '01800000-%' GROUP BY 1, 2, 3`.execute(trx);
    await sql`
      UPDATE users SET credits = credits - ${count}, posted = posted + 1 WHERE id = ${userId}`.execute(trx);
  });
}
