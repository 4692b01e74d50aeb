// What happened to credits, for people to read: pages of the ledger, totals of usage, and the audit that recomputes
// every balance. Reads only. Each read is bounded: pages go by keyset, the audit by batches of users.

import { setImmediate } from 'node:timers/promises';
import { type RawBuilder, type Selectable, sql } from 'kysely';
import { type Db, type Ending, isPostgres, type LedgerKind, type Tables } from './database.ts';

/** A ledger entry. Times are RFC 3339 in UTC. */
export interface LedgerEntry {
  /** UUIDv7. */
  readonly id: string;
  readonly kind: LedgerKind;
  /** Signed. */
  readonly amount: number;
  readonly route: string | null;
  readonly keyId: string | null;
  readonly requestId: string | null;
  /** HTTP status of a charge. */
  readonly status: number | null;
  /** How the call of a charge ended; null where that was not noted yet. */
  readonly ended: Ending | null;
  readonly actor: string | null;
  readonly note: string | null;
  readonly createdAt: string;
}

/** Which entries of a ledger. */
export interface LedgerPage {
  /** Older than this entry. */
  readonly before?: string | undefined;
  readonly kind?: LedgerKind | undefined;
  readonly route?: string | undefined;
  readonly keyId?: string | undefined;
  /** Booked in [from, to), RFC 3339 in UTC. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly limit: number;
}

/** A page looks at so many entries for those that are asked for: where few are, it is short, and the next one goes on. */
const lookedAtMax = 5_000;

/** A page of a user's ledger, newest first, and the entry `before` which the next one begins; null at the end. */
export async function listLedger(
  db: Db,
  userId: string,
  { before, kind, route, keyId, from, to, limit }: LedgerPage,
): Promise<{ entries: LedgerEntry[]; next: string | null }> {
  const isFiltered = [kind, route, keyId, from, to].some((wanted) => wanted !== undefined);
  let older = db.selectFrom('ledger').where('user_id', '=', userId);
  if (before !== undefined) older = older.where('id', '<', before);
  const newest = older.orderBy('id', 'desc');
  const looked = newest.selectAll().limit(isFiltered ? lookedAtMax : limit + 1);
  let query = db.selectFrom(looked.as('looked')).selectAll();
  if (kind !== undefined) query = query.where('kind', '=', kind);
  if (route !== undefined) query = query.where('route', '=', route);
  if (keyId !== undefined) query = query.where('key_id', '=', keyId);
  if (from !== undefined) query = query.where('created_at', '>=', from);
  if (to !== undefined) query = query.where('created_at', '<', to);
  const rows = await query
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  const entries = rows.slice(0, limit).map(entryOf);
  if (rows.length > limit) return { entries, next: entries.at(-1)?.id ?? null };
  if (!isFiltered) return { entries, next: null };
  const last = await newest
    .select('id')
    .offset(lookedAtMax - 1)
    .limit(1)
    .executeTakeFirst();
  return { entries, next: last?.id ?? null };
}

/** One entry of a user's ledger, or null. */
export async function findEntry(db: Db, userId: string, id: string): Promise<LedgerEntry | null> {
  const own = db.selectFrom('ledger').selectAll().where('user_id', '=', userId).where('id', '=', id);
  const row = await own.executeTakeFirst();
  return row === undefined ? null : entryOf(row);
}

function entryOf({ user_id: _, ...row }: Selectable<Tables['ledger']>): LedgerEntry {
  const { key_id: keyId, request_id: requestId, created_at: createdAt, ...entry } = row;
  return { keyId, requestId, createdAt, ...entry };
}

/** What totals are grouped by. */
export type UsageKey = 'route' | 'user' | 'day' | 'hour';

/** Totals of calls. */
export interface Usage {
  /** The route's name, the user's id, the day (YYYY-MM-DD) or the hour (RFC 3339), in UTC. */
  readonly key: string;
  readonly calls: number;
  readonly charged: number;
  readonly failed: number;
  readonly refused: number;
}

/** What totals are split by: time, and routes where wanted. */
export interface UsageQuery {
  readonly bucket: 'hour' | 'day';
  readonly isByRoute: boolean;
  /** Of this route alone. */
  readonly route?: string | undefined;
  /** Hours that begin in [from, to), RFC 3339 in UTC. */
  readonly from: string;
  readonly to: string;
  readonly limit: number;
}

/** Totals of calls in one bucket of time. */
export interface UsageOverTime extends Omit<Usage, 'key'> {
  /** RFC 3339 in UTC, where it begins. */
  readonly start: string;
  /** Null where routes are not told apart. */
  readonly route: string | null;
}

/** A user's totals, in the order of time, at most `limit` rows. */
export function sumUserUsage(db: Db, userId: string, query: UsageQuery): Promise<UsageOverTime[]> {
  return sumOverTime(db, sql`(SELECT * FROM usage_hourly WHERE user_id = ${userId})`, query);
}

/** The same over all users. */
export function sumUsageOverTime(db: Db, query: UsageQuery): Promise<UsageOverTime[]> {
  return sumOverTime(db, sql`usage_totals`, query);
}

async function sumOverTime(db: Db, hours: RawBuilder<unknown>, query: UsageQuery): Promise<UsageOverTime[]> {
  const { bucket, isByRoute, route, from, to, limit } = query;
  const { rows } = await sql<UsageOverTime>`
    SELECT ${groupOf(db, bucket)} AS start, ${isByRoute ? sql`route` : sql`NULL`} AS route, ${sums}
    FROM ${hours} AS hours WHERE ${within('hour', from, to)} ${route === undefined ? sql`` : sql`AND route = ${route}`}
    GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ${limit}`.execute(db);
  return rows;
}

/** Totals over the hours that begin in [from, to), RFC 3339 in UTC, at most `limit` rows; times in their order, the rest by calls. */
export async function sumUsage(
  db: Db,
  { by, from, to, limit }: { by: UsageKey; from?: string | undefined; to?: string | undefined; limit: number },
): Promise<Usage[]> {
  const source =
    by === 'user' ? usageByUser(from, to) : sql`(SELECT * FROM usage_totals WHERE ${within('hour', from, to)})`;
  const order = by === 'day' || by === 'hour' ? sql`1` : sql`2 DESC, 1`;
  const { rows } = await sql<Usage>`SELECT ${groupOf(db, by)} AS key, ${sums}
    FROM ${source} AS counted GROUP BY 1 ORDER BY ${order} LIMIT ${limit}`.execute(db);
  return by === 'day' ? rows.map((row) => ({ ...row, key: row.key.slice(0, 10) })) : rows;
}

const sums = sql`sum(calls) AS calls, sum(charged) AS charged, sum(failed) AS failed, sum(refused) AS refused`;

/** Whole days as they are counted, and the hours of days that the range has in part: those of two days at the most. */
function usageByUser(from: string | undefined, to: string | undefined): RawBuilder<unknown> {
  const [firstDay, lastDay] = [from && dayFrom(from), to && dayBefore(to)];
  const hours = (from: string, to: string) => sql`SELECT user_id, calls, charged, failed, refused FROM usage_hourly
    WHERE ${within('hour', from, to)}`;
  if (from && to && firstDay && lastDay && firstDay > lastDay) return sql`(${hours(from, to)})`;
  const parts = [
    sql`SELECT user_id, calls, charged, failed, refused FROM usage_daily WHERE ${within('day', firstDay, lastDay)}`,
    ...(from && firstDay && from < firstDay ? [hours(from, firstDay)] : []),
    ...(to && lastDay && lastDay < to ? [hours(lastDay, to)] : []),
  ];
  return sql`(${sql.join(parts, sql` UNION ALL `)})`;
}

function within(column: 'hour' | 'day', from: string | undefined, to: string | undefined): RawBuilder<unknown> {
  const since = from === undefined ? sql`true` : sql`${sql.ref(column)} >= ${from}`;
  return to === undefined ? since : sql`${since} AND ${sql.ref(column)} < ${to}`;
}

/** The first midnight from this time on. */
function dayFrom(time: string): string {
  return dayBefore(new Date(Date.parse(time) + 24 * 60 * 60_000 - 1).toISOString());
}

/** The last midnight until this time. */
function dayBefore(time: string): string {
  return `${time.slice(0, 10)}T00:00:00.000Z`;
}

/** What rows are grouped by; times as they begin. */
function groupOf(db: Db, by: UsageKey): RawBuilder<string> {
  if (by === 'user') return sql`user_id`;
  if (by !== 'day') return sql.ref(by);
  return isPostgres(db) ? sql`date_trunc('day', hour, 'UTC')` : sql`substr(hour, 1, 10) || 'T00:00:00.000Z'`;
}

/** A user whose balance is not the sum of the ledger. */
export interface Difference {
  readonly userId: string;
  readonly email: string | null;
  readonly credits: number;
  readonly ledger: number;
}

/** Users that one statement of the audit looks at: to begin with, and at most. */
const auditBatch = { first: 100, max: 5_000 };
/** How long one statement should take: users have ten entries or ten million. */
const auditStatementMs = 300;

/**
 * Looks over the balances of up to `users` users after the id `after`: those that differ from their ledger, and the last
 * id looked at, null at the end. Users with more than `entriesMax` entries are left to the audit, so that a look is cheap.
 */
export async function lookOverBalances(
  db: Db,
  after: string,
  { users, entriesMax }: { users: number; entriesMax: number },
): Promise<{ last: string | null; differences: Difference[] }> {
  const { rows } = await sql<Difference & { entries: number }>`
    SELECT id AS "userId", email, credits,
      (SELECT coalesce(sum(amount), 0) FROM ${firstEntries(entriesMax)}) AS ledger,
      (SELECT count(*) FROM ${firstEntries(entriesMax)}) AS entries
    FROM (SELECT id, email, credits FROM users WHERE id > ${after} ORDER BY id LIMIT ${users}) AS batch
    ORDER BY id`.execute(db);
  const differences = rows.filter((row) => row.entries <= entriesMax && row.credits !== row.ledger);
  return { last: rows.length < users ? null : (rows.at(-1)?.userId ?? null), differences };
}

function firstEntries(entriesMax: number) {
  return sql`(SELECT amount FROM ledger WHERE ledger.user_id = batch.id LIMIT ${entriesMax + 1}) AS first`;
}

/** How many users the audit will look at. */
export async function countUsers(db: Db): Promise<number> {
  const query = db.selectFrom('users').select((count) => count.fn.countAll<number>().as('users'));
  return (await query.executeTakeFirstOrThrow()).users;
}

/**
 * Recomputes every balance from the ledger, batch by batch: how many users each batch held, and those that differ. One
 * statement reads both sides of a batch, so that a gateway at work causes no false alarm.
 */
export async function* auditBalances(db: Db): AsyncGenerator<{ users: number; differences: Difference[] }> {
  let size = auditBatch.first;
  let after = '';
  for (;;) {
    const startMs = performance.now();
    const { rows } = await sql<Difference>`
      SELECT id AS "userId", email, credits,
        (SELECT coalesce(sum(amount), 0) FROM ledger WHERE ledger.user_id = batch.id) AS ledger
      FROM (SELECT id, email, credits FROM users WHERE id > ${after} ORDER BY id LIMIT ${size}) AS batch
      ORDER BY id`.execute(db);
    yield { users: rows.length, differences: rows.filter((row) => row.credits !== row.ledger) };
    const last = rows.at(-1);
    if (last === undefined || rows.length < size) return;
    after = last.userId;
    const pace = Math.min(2, auditStatementMs / (performance.now() - startMs));
    size = Math.max(1, Math.min(auditBatch.max, Math.floor(size * pace)));
    // SQLite answers within the turn: without this, signals and the progress bar would wait for the end.
    await setImmediate();
  }
}
