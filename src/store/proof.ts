// What the proof (src/verify/) does to a database by hand, as an operator with psql might, and what it reads of it
// afterwards: a schema of its own, edits, a row that stays locked, and the rows that an auditor has to see.

import { sql } from 'kysely';
import { type Database, type Db, isPostgres, type Trx, transact } from './database.ts';

/** Makes the schema that the database was opened with; nothing on SQLite. */
export async function createSchema({ db, schema }: Database): Promise<void> {
  if (isPostgres(db)) await sql`CREATE SCHEMA ${sql.id(schema)}`.execute(db);
}

/**
 * Makes the table, beside the gateway's, in which every edit by hand leaves a row, in the transaction that it is: so it can be
 * told afterwards whether an edit came to pass whose answer was lost.
 */
export async function createEditNotes(db: Db): Promise<void> {
  await sql`CREATE TABLE edits_by_hand (id text PRIMARY KEY, before bigint, after bigint, reserved bigint)`.execute(db);
}

/** Drops the schema with all that is in it. */
export async function dropSchema({ db, schema }: Database): Promise<void> {
  if (isPostgres(db)) await sql`DROP SCHEMA IF EXISTS ${sql.id(schema)} CASCADE`.execute(db);
}

/** What an edit met. `reserved`: the user's live leases, which may still be used after it. */
export interface HandEdit {
  readonly before: number;
  readonly after: number;
  readonly reserved: number;
}

/** `UPDATE users SET credits = …`, as people do it, and what was reserved at that moment. `id` is new with each edit. */
export function editByHand(db: Db, id: string, userId: string, credits: number): Promise<HandEdit> {
  return transact(db, async (trx) => {
    const before = (await lockedCredits(trx, userId)) ?? 0;
    await sql`UPDATE users SET credits = ${credits} WHERE id = ${userId}`.execute(trx);
    const standing = (await standingsOf(trx)).find(({ user }) => user === userId);
    const reserved = standing?.leases.reduce((sum, { amount }) => sum + amount, 0) ?? 0;
    await sql`INSERT INTO edits_by_hand VALUES (${id}, ${before}, ${credits}, ${reserved})`.execute(trx);
    return { before, after: credits, reserved };
  });
}

/**
 * What an edit met whose answer was lost; null when it did not come to pass, and never will. It had its user locked before it
 * could commit, so whoever gets the lock after it finds it over.
 */
export function handEditOf(db: Db, id: string, userId: string): Promise<HandEdit | null> {
  return transact(db, async (trx) => {
    await lockedCredits(trx, userId);
    const { rows } = await sql<HandEdit>`
      SELECT before, after, reserved FROM edits_by_hand WHERE id = ${id}`.execute(trx);
    return rows[0] ?? null;
  });
}

/** A user's credits, which nobody changes until the transaction ends: on SQLite it has locked the file. */
async function lockedCredits(trx: Trx, userId: string): Promise<number | undefined> {
  const lock = isPostgres(trx) ? sql`FOR UPDATE` : sql``;
  const { rows } = await sql<{ credits: number }>`SELECT credits FROM users WHERE id = ${userId} ${lock}`.execute(trx);
  return rows[0]?.credits;
}

/** Keeps a user's row locked (SQLite: the whole file) until `release` resolves. */
export function holdRow(db: Db, userId: string, release: Promise<unknown>): Promise<void> {
  return transact(db, async (trx) => {
    await sql`UPDATE users SET name = name WHERE id = ${userId}`.execute(trx);
    // An open transaction that says nothing for long is ended by the server, as it should be.
    const talking = isPostgres(trx) ? setInterval(() => void sql`SELECT 1`.execute(trx).catch(() => {}), 1_000) : null;
    await release;
    if (talking !== null) clearInterval(talking);
  });
}

/** How a user stands in the books. */
export interface Standing {
  readonly user: string;
  readonly credits: number;
  /** Live leases, by instance. */
  readonly leases: readonly { readonly instance: string; readonly amount: number }[];
}

/** All users with their live leases, in one statement. */
export async function standingsOf(db: Db): Promise<Standing[]> {
  const { rows } = await sql<{ user: string; credits: number; instance: string | null; amount: number | null }>`
    SELECT u.id AS "user", u.credits, l.instance, l.amount FROM users AS u
    LEFT JOIN (SELECT leases.* FROM leases JOIN instances AS i ON i.id = leases.instance WHERE NOT i.fenced) AS l
      ON l.user_id = u.id`.execute(db);
  const standings = new Map<
    string,
    { user: string; credits: number; leases: { instance: string; amount: number }[] }
  >();
  for (const { user, credits, instance, amount } of rows) {
    const standing = standings.get(user) ?? { user, credits, leases: [] };
    standings.set(user, standing);
    if (instance !== null && amount !== null) standing.leases.push({ instance, amount });
  }
  return [...standings.values()];
}

/** A charge as it stands in the ledger. */
export interface BookedCharge {
  readonly id: string;
  readonly user: string;
  readonly key: string | null;
  readonly amount: number;
  readonly route: string | null;
  readonly requestId: string | null;
  readonly status: number | null;
}

/** Ledger rows that one statement reads. */
const pageRows = 5_000;

/** Every charge, page by page. */
export async function* bookedCharges(db: Db): AsyncGenerator<BookedCharge> {
  for (let after = ''; ; ) {
    const { rows } = await sql<BookedCharge>`
      SELECT id, user_id AS "user", key_id AS "key", amount, route, request_id AS "requestId", status FROM ledger
      WHERE kind = 'charge' AND id > ${after} ORDER BY id LIMIT ${pageRows}`.execute(db);
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    after = last.id;
  }
}

/** A change of credits that is no charge. */
export interface BookedChange {
  readonly user: string;
  readonly kind: string;
  readonly amount: number;
  readonly actor: string | null;
  readonly note: string | null;
}

/** Every entry that is no charge. */
export async function bookedChanges(db: Db): Promise<BookedChange[]> {
  const { rows } = await sql<BookedChange>`
    SELECT user_id AS "user", kind, amount, actor, note FROM ledger WHERE kind <> 'charge' ORDER BY id`.execute(db);
  return rows;
}

/** What is still reserved, and the instances that are not fenced. */
export async function leftovers(db: Db): Promise<{ leases: number; instances: number }> {
  const { rows } = await sql<{ leases: number; instances: number }>`
    SELECT (SELECT count(*) FROM leases) AS leases, (SELECT count(*) FROM instances WHERE NOT fenced) AS instances`.execute(
    db,
  );
  return rows[0] ?? { leases: 0, instances: 0 };
}
