// Whether the totals of usage are what `usage_hourly` comes to, day by day. They are written together; but a gateway of a
// version before there were totals writes the hours alone, and may run for a while beside a new one that has made the tables.

import { type RawBuilder, sql } from 'kysely';
import { type Db, isPostgres, transact } from './database.ts';

/** A day whose totals are not those of its hours. */
export interface UsageDifference {
  /** YYYY-MM-DD, in UTC. */
  readonly day: string;
  /** How many users have other totals of the day. */
  readonly users: number;
  /** How many routes have other totals of an hour, each counted in each hour. */
  readonly routes: number;
}

/** Looks at each day of use, the first one first: null where its totals are right. One statement sees all of a day. */
export async function* auditUsage(db: Db): AsyncGenerator<UsageDifference | null> {
  for (let day = await firstDay(db, '0001-01-01'); day !== null; day = await firstDay(db, dayAfter(day))) {
    const { rows } = await sql<{ users: number; routes: number }>`
      SELECT (${differing(byUser, day)}) AS users, (${differing(byRoute, day)}) AS routes`.execute(db);
    const { users = 0, routes = 0 } = rows[0] ?? {};
    yield users === 0 && routes === 0 ? null : { day, users, routes };
  }
}

/**
 * Counts the totals of a day anew. Whoever has usage to write waits meanwhile, and writes it later: on PostgreSQL gateways,
 * old and new, on SQLite everybody.
 */
export function recountUsage(db: Db, day: string): Promise<void> {
  return transact(db, async (trx) => {
    if (isPostgres(trx)) await sql`LOCK TABLE usage_hourly IN SHARE ROW EXCLUSIVE MODE`.execute(trx);
    const start = isPostgres(trx) ? sql`${startOf(day)}::timestamptz` : sql`${startOf(day)}`;
    const sums = sql`sum(calls), sum(charged), sum(failed), sum(refused)`;
    for (const [{ table, time, names }, first] of [
      [byUser, sql`${start}, user_id`],
      [byRoute, sql`hour, route, 0`],
    ] as const) {
      await sql`DELETE FROM ${table} WHERE ${within(time, day)}`.execute(trx);
      await sql`INSERT INTO ${table} SELECT ${first}, ${sums} FROM usage_hourly
        WHERE ${within(sql`hour`, day)} GROUP BY ${names}`.execute(trx);
    }
  });
}

/** Where totals are, the column of their time, and what tells those of a day apart. */
interface Totals {
  readonly table: RawBuilder<unknown>;
  readonly time: RawBuilder<unknown>;
  readonly names: RawBuilder<unknown>;
}

const byUser: Totals = { table: sql`usage_daily`, time: sql`day`, names: sql`user_id` };
const byRoute: Totals = { table: sql`usage_totals`, time: sql`hour`, names: sql`hour, route` };

/** How many totals of the day are not the sums of its hours: one taken from the other leaves nothing where they are. */
function differing({ table, time, names }: Totals, day: string) {
  return sql`SELECT count(*) FROM (
    SELECT ${names} FROM (
      SELECT ${names}, calls, charged, failed, refused FROM usage_hourly WHERE ${within(sql`hour`, day)}
      UNION ALL SELECT ${names}, -calls, -charged, -failed, -refused FROM ${table} WHERE ${within(time, day)}
    ) AS sides GROUP BY ${names}
    HAVING sum(calls) <> 0 OR sum(charged) <> 0 OR sum(failed) <> 0 OR sum(refused) <> 0) AS differing`;
}

function within(time: RawBuilder<unknown>, day: string) {
  return sql`${time} >= ${startOf(day)} AND ${time} < ${startOf(dayAfter(day))}`;
}

/** The first day, from this one on, of which anything is counted; null after the last. */
async function firstDay(db: Db, day: string): Promise<string | null> {
  const from = startOf(day);
  const { rows } = await sql<{ time: string | null }>`SELECT min(time) AS time FROM (
    SELECT min(hour) AS time FROM usage_hourly WHERE hour >= ${from}
    UNION ALL SELECT min(hour) FROM usage_totals WHERE hour >= ${from}
    UNION ALL SELECT min(day) FROM usage_daily WHERE day >= ${from}) AS first`.execute(db);
  return rows[0]?.time?.slice(0, 10) ?? null;
}

function startOf(day: string): string {
  return `${day}T00:00:00.000Z`;
}

function dayAfter(day: string): string {
  return new Date(Date.parse(day) + 24 * 60 * 60_000).toISOString().slice(0, 10);
}
