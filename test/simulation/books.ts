// What the database says, read by plain SQL on a connection of the auditor's own: nothing here knows the program.

import BetterSqlite from 'better-sqlite3';
import pg from 'pg';

export interface UserRow {
  readonly id: string;
  readonly credits: number;
  /** Sums and counts over the user's ledger. */
  readonly booked: number;
  readonly charges: number;
  readonly charged: number;
}

export interface KeyRow {
  readonly id: string;
  readonly user: string;
  readonly limit: number | null;
  readonly spent: number;
}

export interface LeaseRow {
  readonly user: string;
  readonly key: string;
  readonly instance: string;
  readonly amount: number;
  readonly recall: string;
}

export interface ChargeRow {
  readonly id: string;
  readonly user: string;
  readonly key: string | null;
  readonly amount: number;
  readonly ended: string | null;
}

/** All that counts, as of one commit. */
export interface Books {
  readonly users: readonly UserRow[];
  readonly keys: readonly KeyRow[];
  /** Of instances that are not fenced. */
  readonly leases: readonly LeaseRow[];
  readonly live: readonly { readonly id: string; readonly seq: number }[];
  /** Those of the charges asked for that are in the ledger. */
  readonly posted: readonly ChargeRow[];
  /** What `usage_hourly` counts of the users. */
  readonly used: number;
  /** How many users, and routes in an hour, have other totals of usage than `usage_hourly` comes to. */
  readonly astray: number;
}

export interface BooksReader {
  /** The books of these users; `charges` are the ids to look for. */
  read(users: readonly string[], charges: readonly string[]): Promise<Books>;
  close(): Promise<void>;
}

const usersText = `SELECT u.id AS "id", u.credits AS "credits", coalesce(sum(l.amount), 0) AS "booked",
    coalesce(sum(CASE WHEN l.kind = 'charge' THEN 1 ELSE 0 END), 0) AS "charges",
    coalesce(sum(CASE WHEN l.kind = 'charge' THEN l.amount ELSE 0 END), 0) AS "charged"
  FROM users AS u LEFT JOIN ledger AS l ON l.user_id = u.id WHERE u.id IN (SELECT value FROM ids) GROUP BY u.id, u.credits`;
const keysText = `SELECT id AS "id", user_id AS "user", limit_credits AS "limit", spent AS "spent" FROM api_keys
  WHERE user_id IN (SELECT value FROM ids)`;
const leasesText = `SELECT user_id AS "user", key_id AS "key", instance AS "instance", amount AS "amount", recall AS "recall"
  FROM leases WHERE instance IN (SELECT id FROM instances WHERE NOT fenced)`;
const liveText = 'SELECT id AS "id", seq AS "seq" FROM instances WHERE NOT fenced';
const postedText = `SELECT id AS "id", user_id AS "user", key_id AS "key", amount AS "amount", ended AS "ended"
  FROM ledger WHERE id IN (SELECT value FROM ids)`;
const usedText = `SELECT coalesce(sum(charged), 0) AS "used" FROM usage_hourly WHERE user_id IN (SELECT value FROM ids)`;
const astrayText = `SELECT (${differing('usage_daily', 'user_id')}) + (${differing('usage_totals', 'hour, route')}) AS "astray"`;

/** One taken from the other leaves nothing. */
function differing(table: string, names: string): string {
  return `SELECT count(*) FROM (SELECT ${names} FROM (
      SELECT ${names}, calls, charged, failed, refused FROM usage_hourly
      UNION ALL SELECT ${names}, -calls, -charged, -failed, -refused FROM ${table}) AS sides
    GROUP BY ${names} HAVING sum(calls) <> 0 OR sum(charged) <> 0 OR sum(failed) <> 0 OR sum(refused) <> 0) AS d`;
}

/** Connections and statements are never let go: see src/store/sqlite.ts on what a collection would do to them. */
const kept: unknown[] = [];

export function openSqliteBooks(path: string): BooksReader {
  const sqlite = new BetterSqlite(path, { readonly: true });
  const prepare = (text: string) =>
    sqlite.prepare(text.includes('FROM ids') ? `WITH ids AS (SELECT value FROM json_each(?)) ${text}` : text);
  const [users, keys, leases, live, posted, used, astray] = [
    usersText,
    keysText,
    leasesText,
    liveText,
    postedText,
    usedText,
    astrayText,
  ].map(prepare) as [BetterSqlite.Statement, ...BetterSqlite.Statement[]] as BetterSqlite.Statement[] & { length: 7 };
  kept.push(sqlite, users, keys, leases, live, posted, used, astray);
  const rows = <T>(statement: BetterSqlite.Statement | undefined, ...values: string[]) =>
    (statement?.all(...values) ?? []) as T[];
  return {
    read: async (userIds, chargeIds) => {
      const ids = JSON.stringify(userIds);
      return {
        users: rows(users, ids),
        keys: rows(keys, ids),
        leases: rows(leases),
        live: rows(live),
        posted: chargeIds.length === 0 ? [] : rows(posted, JSON.stringify(chargeIds)),
        used: rows<{ used: number }>(used, ids)[0]?.used ?? 0,
        astray: rows<{ astray: number }>(astray)[0]?.astray ?? 0,
      };
    },
    close: async () => void sqlite.close(),
  };
}

export async function openPostgresBooks(url: string, schema: string): Promise<BooksReader> {
  const client = new pg.Client({ connectionString: url, options: `-c search_path=${schema}` });
  await client.connect();
  const list = (text: string, parameter: string) =>
    `(SELECT coalesce(json_agg(r), '[]') FROM (${text.replace('SELECT value FROM ids', `SELECT unnest(${parameter}::text[])`)}) AS r)`;
  // One statement is one snapshot.
  const text = `SELECT json_build_object('users', ${list(usersText, '$1')}, 'keys', ${list(keysText, '$1')},
    'leases', ${list(leasesText, '')}, 'live', ${list(liveText, '')}, 'posted', ${list(postedText, '$2')},
    'used', ${list(usedText, '$1')}, 'astray', ${list(astrayText, '')}) AS books`;
  return {
    read: async (userIds, chargeIds) => {
      const { rows } = await client.query({ name: 'books', text, values: [userIds, chargeIds] });
      const { used, astray, ...books } = rows[0].books;
      return { ...books, used: used[0].used, astray: astray[0].astray };
    },
    close: () => client.end(),
  };
}
