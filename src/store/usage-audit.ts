// Whether the totals of usage are what `usage_hourly` comes to, day by day. They are written together; but a gateway of a
// version before there were totals writes the hours alone, and may run for a while beside a new one that has made the tables.

import { type RawBuilder, sql } from 'kysely';
import { type Db, isPostgres, type Trx, transact } from './database.ts';

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
      SELECT (${countOf(byUser, day)}) AS users, (${countOf(byRoute, day)}) AS routes`.execute(db);
    const { users = 0, routes = 0 } = rows[0] ?? {};
    yield users === 0 && routes === 0 ? null : { day, users, routes };
  }
}

/**
 * Puts the totals of a day right beside gateways at work: what a day lacks, or has too much, is found by one statement, which sees
 * hours and totals as they were written together, and is added to what they are by then. Nobody waits for the counting.
 */
export async function recountUsage(db: Db, day: string): Promise<void> {
  for (const totals of [byUser, byRoute]) {
    await transact(db, async (trx) => {
      // Two that find the same would both add it.
      if (isPostgres(trx)) await sql`SELECT pg_advisory_xact_lock(${recountLock})`.execute(trx);
      await addWhatDiffers(trx, totals, day);
    });
  }
}

/** Of all advisory locks in the database this one alone is for this. */
const recountLock = 7_233_001;

/** In the order in which exchanges lock these rows. */
function addWhatDiffers(trx: Trx, totals: Totals, day: string) {
  const { table, columns } = totals;
  const byBytes = isPostgres(trx) ? sql`COLLATE "C"` : sql``;
  return sql`INSERT INTO ${table} (${columns}, calls, charged, failed, refused)
    SELECT * FROM (SELECT ${totals.valuesOn(startIn(trx, day))}, sum(calls), sum(charged), sum(failed), sum(refused)
      ${differing(totals, day)}) AS missing WHERE true ORDER BY 1, ${totals.text} ${byBytes}
    ON CONFLICT (${columns}) DO UPDATE SET
      calls = ${table}.calls + excluded.calls, charged = ${table}.charged + excluded.charged,
      failed = ${table}.failed + excluded.failed, refused = ${table}.refused + excluded.refused`.execute(trx);
}

function startIn(db: Db, day: string): RawBuilder<unknown> {
  return isPostgres(db) ? sql`${startOf(day)}::timestamptz` : sql`${startOf(day)}`;
}

/** Where totals are. */
interface Totals {
  readonly table: RawBuilder<unknown>;
  /** The column of their time. */
  readonly time: RawBuilder<unknown>;
  /** What tells those of a day apart. */
  readonly names: RawBuilder<unknown>;
  /** The second part of its key. */
  readonly text: RawBuilder<unknown>;
  /** The key of the table, and how what is added is called in it. */
  readonly columns: RawBuilder<unknown>;
  valuesOn(day: RawBuilder<unknown>): RawBuilder<unknown>;
}

const byUser: Totals = {
  table: sql`usage_daily`,
  time: sql`day`,
  names: sql`user_id`,
  text: sql`user_id`,
  columns: sql`day, user_id`,
  valuesOn: (day) => sql`${day} AS day, user_id`,
};
const byRoute: Totals = {
  table: sql`usage_totals`,
  time: sql`hour`,
  names: sql`hour, route`,
  text: sql`route`,
  columns: sql`hour, route, shard`,
  valuesOn: () => sql`hour, route, 0 AS shard`,
};

function countOf(totals: Totals, day: string) {
  return sql`SELECT count(*) FROM (SELECT ${totals.names} ${differing(totals, day)}) AS differing`;
}

/** Totals of the day that are not the sums of its hours: one taken from the other leaves something there. */
function differing({ table, time, names }: Totals, day: string) {
  return sql`FROM (
      SELECT ${names}, calls, charged, failed, refused FROM usage_hourly WHERE ${within(sql`hour`, day)}
      UNION ALL SELECT ${names}, -calls, -charged, -failed, -refused FROM ${table} WHERE ${within(time, day)}
    ) AS sides GROUP BY ${names}
    HAVING sum(calls) <> 0 OR sum(charged) <> 0 OR sum(failed) <> 0 OR sum(refused) <> 0`;
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
