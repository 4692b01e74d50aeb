// Who calls in a bench: users with credits that never end, known by keys or by tokens, and what they were charged.

import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { generateKey } from '../../src/identity/api-keys.ts';
import { type Database, type Db, openDatabase, rowsOf } from '../../src/store/database.ts';
import { auditBalances } from '../../src/store/history.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import type { Issuer } from './issuer.ts';

/** What each begins with. */
const credits = 2 ** 40;
const batchMax = 10_000;

/** Migrates the database and adds so many users: the values of Authorization with which they call. */
export async function addCallers(url: string, count: number, issuer?: Issuer): Promise<string[]> {
  return withDatabase(url, async (database) => {
    await migrateUp(database);
    const credentials: string[] = [];
    for (let first = 0; first < count; first += batchMax) {
      const size = Math.min(batchMax, count - first);
      credentials.push(...(await addBatch(database.db, first, size, issuer)));
    }
    return credentials;
  });
}

async function addBatch(db: Db, first: number, size: number, issuer?: Issuer): Promise<string[]> {
  const users = Array.from({ length: size }, (_, i) => `caller-${first + i}`);
  const entries = users.map((user) => ({ id: uuidv7(), user }));
  await db.transaction().execute(async (trx) => {
    // `posted` 1: the entries below are ours, and the triggers for hand-made users write none.
    await sql`INSERT INTO users (id, name, credits, posted)
      SELECT v."user", v."user", ${credits}, 1 FROM ${rowsOf(trx, { user: 'text' }, entries)}`.execute(trx);
    await sql`INSERT INTO ledger (id, user_id, kind, amount, actor)
      SELECT v.id, v."user", 'signup', ${credits}, 'bench'
      FROM ${rowsOf(trx, { id: 'text', user: 'text' }, entries)}`.execute(trx);
  });
  return issuer === undefined ? addKeys(db, users) : addTokens(db, users, issuer);
}

/** Gives each of the users a key. */
export async function addKeys(db: Db, users: readonly string[]): Promise<string[]> {
  const keys = users.map((user) => ({ user, id: `key_of_${user}`, ...generateKey() }));
  const columns = { id: 'text', user: 'text', hash: 'text', hint: 'text' } as const;
  await sql`INSERT INTO api_keys (id, user_id, name, hash, hint)
    SELECT v.id, v."user", 'bench', v.hash, v.hint
    FROM ${rowsOf(
      db,
      columns,
      keys.map(({ key: _, ...kept }) => kept),
    )}`.execute(db);
  return keys.map(({ key }) => `Bearer ${key}`);
}

/** The id of a user is the subject at the issuer. */
async function addTokens(db: Db, users: readonly string[], issuer: Issuer): Promise<string[]> {
  const rows = users.map((user) => ({ issuer: issuer.url, user }));
  await sql`INSERT INTO identities (issuer, subject, user_id)
    SELECT v.issuer, v."user", v."user" FROM ${rowsOf(db, { issuer: 'text', user: 'text' }, rows)}`.execute(db);
  return Promise.all(users.map(async (user) => `Bearer ${await issuer.token(user)}`));
}

/** The number of charges that were made since then. Each is of one credit. */
export async function chargesSince(db: Db, sinceMs: number): Promise<number> {
  const { count } = await db
    .selectFrom('ledger')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('kind', '=', 'charge')
    .where('id', '>=', firstIdOf(sinceMs))
    .executeTakeFirstOrThrow();
  return count;
}

/** Ids are UUIDv7, which begin with the time: none that is made from then on is below this one. */
function firstIdOf(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** Throws when a balance is not the sum of its ledger. */
export async function assertBalanced(db: Db): Promise<void> {
  for await (const { differences } of auditBalances(db)) {
    const [first] = differences;
    if (first !== undefined) throw new Error(`${first.userId} has ${first.credits}, and the ledger ${first.ledger}`);
  }
}

/** Opens the database for what is done with it. */
export async function withDatabase<T>(url: string, use: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase({ url, schema: 'public', poolSize: 2 });
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}
