// Every statement of an exchange, in the order they run: what is read under the locks, then what is written. Rows
// travel as one JSON parameter, so that the text of a statement does not depend on their number.

import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import { type ColumnType, type Db, isOneOf, isPostgres, rowsOf } from '../database.ts';
import type { Change, Charge, LockPolicy, SyncMessage, Tally } from './exchange.ts';
import type { LiveLease } from './grants.ts';

/** So many changes are told one by one; beyond that everything may have changed. */
export const changesMax = 1_000;

export function moveOn(db: Db, { instance, seq }: SyncMessage) {
  return sql<{ id: string }>`UPDATE instances SET seq = ${seq}
    WHERE id = ${instance} AND seq < ${seq} AND NOT fenced RETURNING id`.compile(db);
}

export function lockUsers(db: Db, users: string[], locks: LockPolicy) {
  return sql<{ id: string; credits: number }>`SELECT id, credits FROM users
    WHERE ${isOneOf(db, 'id', users)} ORDER BY id ${rowLock(db, locks)}`.compile(db);
}

/** SQLite has locked the whole file at BEGIN. */
function rowLock(db: Db, locks: LockPolicy) {
  return isPostgres(db) ? sql.raw(`FOR NO KEY UPDATE${locks === 'skip' ? ' SKIP LOCKED' : ''}`) : sql``;
}

export function presentUsers(db: Db, users: string[]) {
  return sql<{ id: string }>`SELECT id FROM users WHERE ${isOneOf(db, 'id', users)}`.compile(db);
}

export function liveLeases(db: Db, users: string[]) {
  return sql<LiveLease & { user: string }>`
    SELECT l.user_id AS "user", l.key_id AS "key", l.instance, l.amount, l.recall
    FROM leases AS l JOIN instances AS i ON i.id = l.instance
    WHERE NOT i.fenced AND ${isOneOf(db, 'l.user_id', users)}`.compile(db);
}

export function knownCharges(db: Db, { charges }: SyncMessage) {
  const ids = charges.map((charge) => charge.id);
  return sql<{ id: string }>`SELECT id FROM ledger WHERE ${isOneOf(db, 'id', ids)}`.compile(db);
}

/** Locked after their users: somebody may have changed a key by hand and not committed yet. */
export function lockKeys(db: Db, keys: readonly string[], locks: LockPolicy) {
  return sql<{ id: string; limit: number | null; spent: number }>`
    SELECT id, limit_credits AS "limit", spent FROM api_keys
    WHERE ${isOneOf(db, 'id', keys)} ORDER BY id ${rowLock(db, locks)}`.compile(db);
}

export function presentKeys(db: Db, keys: readonly string[]) {
  return sql<{ id: string }>`SELECT id FROM api_keys WHERE ${isOneOf(db, 'id', keys)}`.compile(db);
}

export function liveInstances(db: Db) {
  return sql<{ id: string; seq: number }>`SELECT id, seq FROM instances WHERE NOT fenced`.compile(db);
}

export function askedLeases(db: Db, instance: string) {
  return sql<{ user: string; key: string }>`SELECT user_id AS "user", key_id AS "key" FROM leases
    WHERE instance = ${instance} AND recall = 'asked'`.compile(db);
}

/**
 * What has been committed since `since`, the mark of an earlier reading, and the mark to give the next time: one row for
 * each change, and one without a change where there is none. Ids and times tell when a change began; it may be committed
 * much later. So on PostgreSQL a mark is a snapshot, and what is new is what it could not see; on SQLite, where one
 * writes at a time, it is the last id.
 */
export function changesSince(db: Db, since: string | null) {
  const reading = isPostgres(db)
    ? sql`(SELECT pg_current_snapshot()::text AS mark) AS m LEFT JOIN LATERAL (SELECT id, kind, ref FROM changes
        WHERE xid >= pg_snapshot_xmin(${since}::text::pg_snapshot) AND xid < pg_snapshot_xmax(pg_current_snapshot())
          AND NOT pg_visible_in_snapshot(xid, ${since}::text::pg_snapshot) LIMIT ${changesMax + 1}) AS c ON true`
    : sql`(SELECT CAST(coalesce(max(id), 0) AS text) AS mark FROM changes) AS m LEFT JOIN (SELECT id, kind, ref
        FROM changes WHERE id > CAST(${since} AS integer) ORDER BY id LIMIT ${changesMax + 1}) AS c ON true`;
  return sql<{ mark: string } & (Change | { id: null })>`SELECT m.mark, c.id, c.kind, c.ref FROM ${reading}`.compile(
    db,
  );
}

/** What an exchange writes once it knows what it saw. */
export interface Writes {
  readonly posted: readonly Charge[];
  readonly tallies: readonly Tally[];
  /** The instance's own leases as they are to be; 0 ends one. */
  readonly own: readonly LeaseRow[];
  readonly asked: readonly LeaseRow[];
}

export function writesOf(db: Db, instance: string, { posted, tallies, own, asked }: Writes): CompiledQuery[] {
  const writes: RawBuilder<unknown>[] = [];
  if (posted.length > 0) writes.push(insertCharges(db, posted), lowerCredits(db, posted));
  const byKey = posted.filter((charge) => charge.key !== null);
  if (byKey.length > 0) writes.push(raiseSpent(db, byKey));
  const usage = usageOf(posted, tallies);
  if (usage.length > 0) writes.push(raiseHours(db, usage), raiseDays(db, usage));
  const kept = own.filter((lease) => lease.amount > 0);
  const ended = own.filter((lease) => lease.amount === 0);
  if (kept.length > 0) writes.push(setLeases(db, instance, kept));
  if (ended.length > 0) writes.push(endLeases(db, instance, ended));
  if (asked.length > 0) writes.push(askLeases(db, asked));
  // At the end: the rows that all instances write are locked for as long as the commit takes.
  if (usage.length > 0) writes.push(raiseTotals(db, usage, shardOf(instance)));
  return writes.map((write) => write.compile(db));
}

function insertCharges(db: Db, charges: readonly Charge[]) {
  const columns = {
    id: 'text',
    user: 'text',
    key: 'text',
    cost: 'bigint',
    route: 'text',
    status: 'bigint',
    ended: 'text',
    requestId: 'text',
    at: 'timestamptz',
  } as const;
  // `WHERE true` keeps SQLite from reading ON as the beginning of a join condition.
  return sql`INSERT INTO ledger (id, user_id, kind, amount, route, key_id, request_id, status, ended, created_at)
    SELECT v.id, v."user", 'charge', -v.cost, v.route, v."key", v."requestId", v.status, v.ended, v.at
    FROM ${rowsOf(db, columns, charges)} WHERE true ON CONFLICT (id) DO NOTHING`;
}

function lowerCredits(db: Db, charges: readonly Charge[]) {
  const rows = [...spentBy(charges, (charge) => charge.user)].map(([user, spent]) => ({ user, spent }));
  return sql`UPDATE users SET credits = users.credits - v.spent, posted = users.posted + 1
    FROM ${rowsOf(db, { user: 'text', spent: 'bigint' }, rows)} WHERE users.id = v."user"`;
}

function raiseSpent(db: Db, charges: readonly Charge[]) {
  const rows = [...groupBy(charges, (charge) => charge.key ?? '')].map(([key, ofKey]) => ({
    key,
    spent: ofKey.reduce((sum, charge) => sum + charge.cost, 0),
    at: ofKey
      .map((charge) => charge.at)
      .toSorted()
      .at(-1),
  }));
  return sql`UPDATE api_keys SET spent = api_keys.spent + v.spent, last_used_at = v.at
    FROM ${rowsOf(db, { key: 'text', spent: 'bigint', at: 'timestamptz' }, rows)} WHERE api_keys.id = v."key"`;
}

interface Counts {
  calls: number;
  charged: number;
  failed: number;
  refused: number;
}

interface Usage extends Counts {
  readonly user: string;
  readonly hour: string;
  readonly route: string;
}

function usageOf(charges: readonly Charge[], tallies: readonly Tally[]): Usage[] {
  const charged = charges.map(({ user, route, at, cost }) => {
    return { user, hour: hourOf(at), route, calls: 1, charged: cost, failed: 0, refused: 0 };
  });
  const others = tallies.map((tally) => ({ charged: 0, ...tally }));
  return sumsOf([...charged, ...others], ({ user, hour, route }) => ({ user, hour, route }));
}

/** Sums by what `nameOf` says, in one order for everybody, so that two exchanges cannot wait for each other. */
function sumsOf<N extends object>(usage: readonly Usage[], nameOf: (of: Usage) => N): (N & Counts)[] {
  const sums = new Map<string, N & Counts>();
  for (const of of usage) {
    const name = nameOf(of);
    const key = Object.values(name).join(' ');
    const sum = sums.get(key) ?? { calls: 0, charged: 0, failed: 0, refused: 0, ...name };
    sum.calls += of.calls;
    sum.charged += of.charged;
    sum.failed += of.failed;
    sum.refused += of.refused;
    sums.set(key, sum);
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
}

/** The start of the hour, UTC, of an RFC 3339 time in UTC. */
export function hourOf(at: string): string {
  return `${at.slice(0, 13)}:00:00.000Z`;
}

// One order here as well: hours, days, totals. Tallies come without the lock of their user.

function raiseHours(db: Db, usage: readonly Usage[]) {
  const rows = usage.map(({ user, ...rest }) => ({ user_id: user, ...rest }));
  return raise(db, 'usage_hourly', { user_id: 'text', hour: 'timestamptz', route: 'text' }, rows);
}

function raiseDays(db: Db, usage: readonly Usage[]) {
  const days = sumsOf(usage, ({ hour, user }) => ({ day: dayOf(hour), user_id: user }));
  return raise(db, 'usage_daily', { day: 'timestamptz', user_id: 'text' }, days);
}

function raiseTotals(db: Db, usage: readonly Usage[], shard: number) {
  const totals = sumsOf(usage, ({ hour, route }) => ({ hour, route, shard }));
  return raise(db, 'usage_totals', { hour: 'timestamptz', route: 'text', shard: 'bigint' }, totals);
}

/** Adds to what is counted under these names. */
function raise(db: Db, table: string, names: Record<string, ColumnType>, rows: readonly Counts[]) {
  const columns = { ...names, calls: 'bigint', charged: 'bigint', failed: 'bigint', refused: 'bigint' } as const;
  const list = (of: object) => sql.join(Object.keys(of).map((column) => sql.ref(column)));
  const into = sql.ref(table);
  return sql`INSERT INTO ${into} (${list(columns)}) SELECT ${list(columns)} FROM ${rowsOf(db, columns, rows)} WHERE true
    ON CONFLICT (${list(names)}) DO UPDATE SET
      calls = ${into}.calls + excluded.calls, charged = ${into}.charged + excluded.charged,
      failed = ${into}.failed + excluded.failed, refused = ${into}.refused + excluded.refused`;
}

/** The start of the day, UTC, of such a time. */
function dayOf(at: string): string {
  return `${at.slice(0, 10)}T00:00:00.000Z`;
}

/**
 * Rows that count the same in `usage_totals`. A row for each instance would never be waited for, but instances come and go
 * with every start, and each hour would be read once for each of them. With four it is seldom that two wait, for a commit's
 * time, and harmless: they lock these rows in one order, and nothing after them.
 */
const shards = 4;

function shardOf(instance: string): number {
  return Array.from(instance).reduce((sum, character) => sum + (character.codePointAt(0) ?? 0), 0) % shards;
}

/** A lease with its user. */
export interface LeaseRow extends LiveLease {
  readonly user: string;
}

const leaseColumns = { user: 'text', key: 'text', instance: 'text', amount: 'bigint', recall: 'text' } as const;

function setLeases(db: Db, instance: string, leases: readonly LeaseRow[]) {
  return sql`INSERT INTO leases (user_id, key_id, instance, amount, recall)
    SELECT v."user", v."key", ${instance}, v.amount, v.recall
    FROM ${rowsOf(db, leaseColumns, leases)} WHERE true
    ON CONFLICT (user_id, key_id, instance) DO UPDATE SET amount = excluded.amount, recall = excluded.recall`;
}

function endLeases(db: Db, instance: string, leases: readonly LeaseRow[]) {
  return sql`DELETE FROM leases WHERE instance = ${instance} AND (user_id, key_id) IN
    (SELECT v."user", v."key" FROM ${rowsOf(db, leaseColumns, leases)})`;
}

function askLeases(db: Db, leases: readonly LeaseRow[]) {
  return sql`UPDATE leases SET recall = 'asked' WHERE recall = '' AND (user_id, key_id, instance) IN
    (SELECT v."user", v."key", v.instance FROM ${rowsOf(db, leaseColumns, leases)})`;
}

/** Credits that the charges take, by whatever `nameOf` says. */
export function spentBy(charges: readonly Charge[], nameOf: (charge: Charge) => string): Map<string, number> {
  const spent = new Map<string, number>();
  for (const charge of charges) spent.set(nameOf(charge), (spent.get(nameOf(charge)) ?? 0) + charge.cost);
  return spent;
}

/** Like Map.groupBy, which Node 20 does not have. */
export function groupBy<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(nameOf(item));
    if (group === undefined) groups.set(nameOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
