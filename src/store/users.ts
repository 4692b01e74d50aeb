// Users: who owns a balance. Everything about them that moves no credits, but for the credits that they begin with.

import { createId } from '@paralleldrive/cuid2';
import { type RawBuilder, type Selectable, type SqlBool, sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { type Db, isPostgres, type Tables, type Trx } from './database.ts';
import { Refusal } from './refusal.ts';

/** A user, as shown to operators. Times are RFC 3339 in UTC. */
export interface User {
  readonly id: string;
  /** Null for a service account. */
  readonly email: string | null;
  readonly name: string;
  readonly plan: string;
  readonly credits: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly blockedAt: string | null;
}

/** What a new user begins with. */
export interface NewUser {
  readonly email: string | null;
  /** Null takes the local part of the e-mail address, or `service`. */
  readonly name: string | null;
  readonly picture?: string | null;
  readonly plan: string;
  readonly credits: number;
}

const columns = ['id', 'email', 'name', 'plan', 'credits', 'created_at', 'updated_at', 'blocked_at'] as const;

/** Creates a user with a `signup` entry for the starting credits. Refuses EMAIL_TAKEN, also in another case. */
export async function createUser(trx: Trx, user: NewUser, actor: string): Promise<User> {
  const { email, plan, credits, picture = null } = user;
  const row = await trx
    .insertInto('users')
    // `posted` 1: the entry below is ours, and the trigger for hand-made users writes none.
    .values({ id: createId(), email, name: user.name ?? defaultName(email), picture, plan, credits, posted: 1 })
    .onConflict((conflict) => conflict.doNothing())
    .returning(columns)
    .executeTakeFirst();
  if (row === undefined) throw new Refusal('EMAIL_TAKEN', `There is a user ${email} already`);
  if (credits !== 0) {
    const entry = { id: uuidv7(), user_id: row.id, kind: 'signup' as const, amount: credits, actor };
    await trx.insertInto('ledger').values(entry).execute();
  }
  return userOf(row);
}

/** The name of a user who was given none. */
export function defaultName(email: string | null): string {
  return email === null ? 'service' : email.slice(0, email.lastIndexOf('@'));
}

/** Finds a user by id, by e-mail address in any case, or by `issuer#subject`. Refuses USER_NOT_FOUND. */
export async function findUser(db: Db, reference: string): Promise<User> {
  // An issuer has no fragment (RFC 8414 §2), so the first # ends it; a subject may hold more of them.
  const [issuer = '', ...rest] = reference.split('#');
  const identified = db
    .selectFrom('identities')
    .select('user_id')
    .where('issuer', '=', issuer)
    .where('subject', '=', rest.join('#'));
  const rows = await db
    .selectFrom('users')
    .select(columns)
    .where((where) =>
      where.or([
        where('id', '=', reference),
        where(sql`lower(email)`, '=', sql<string>`lower(${reference})`),
        where('id', 'in', identified),
      ]),
    )
    .execute();
  // An id that somebody chose to look like another's address wins: ids are exact.
  const row = rows.find(({ id }) => id === reference) ?? rows[0];
  if (row === undefined) throw notFound(reference);
  return userOf(row);
}

/** A user by the id. Refuses USER_NOT_FOUND. */
export async function getUser(db: Db, id: string): Promise<User> {
  const row = await db.selectFrom('users').select(columns).where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw notFound(id);
  return userOf(row);
}

/** A page of users in the order of their ids, of those whose id, name or e-mail holds `search`, in any case. */
export async function listUsers(
  db: Db,
  { search, after = '', limit }: { search?: string | undefined; after?: string | undefined; limit: number },
): Promise<User[]> {
  const query = db.selectFrom('users').select(columns).where('id', '>', after).where(holds(search));
  return (await query.orderBy('id').limit(limit).execute()).map(userOf);
}

function holds(search: string | undefined) {
  if (search === undefined) return sql<SqlBool>`true`;
  const pattern = `%${search.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`;
  return sql<SqlBool>`(lower(id) LIKE ${pattern} ESCAPE '\\' OR lower(name) LIKE ${pattern} ESCAPE '\\'
    OR lower(email) LIKE ${pattern} ESCAPE '\\')`;
}

/** What users can be sorted by. */
export type UserOrder = 'created' | 'email' | 'name' | 'credits';

/** Where a page of sorted users begins: after the user with this id, who stands at this place in the order. */
export interface UserPlace {
  readonly key: string | number;
  readonly id: string;
}

/** A page of sorted users, each with its place. */
export async function listUsersBy(
  db: Db,
  order: { readonly by: UserOrder; readonly isDescending: boolean },
  { search, after, limit }: { search?: string | undefined; after?: UserPlace | undefined; limit: number },
): Promise<(User & { readonly place: UserPlace })[]> {
  const key = orderKey(db, order.by);
  const direction = order.isDescending ? 'desc' : 'asc';
  let query = db.selectFrom('users').select(columns).select(key.as('key')).where(holds(search));
  if (after !== undefined) {
    const beyond = sql.raw(order.isDescending ? '<' : '>');
    query = query.where(sql<SqlBool>`(${key}, id) ${beyond} (${after.key}, ${after.id})`);
  }
  const rows = await query.orderBy(key, direction).orderBy('id', direction).limit(limit).execute();
  return rows.map(({ key, ...row }) => ({ ...userOf(row), place: { key, id: row.id } }));
}

function orderKey(db: Db, by: UserOrder): RawBuilder<string | number> {
  if (by === 'credits') return sql<number>`credits`;
  if (by === 'email') return sql<string>`coalesce(lower(email), '')`;
  if (by === 'name') return sql<string>`lower(name)`;
  // As exact as it is told: what was left out would be passed over on the next page.
  return isPostgres(db) ? sql<string>`date_trunc('milliseconds', created_at)` : sql<string>`created_at`;
}

/** Keeps others from what is done under the lock of a user, until the end of the transaction. On SQLite it has locked everything. */
export async function lockUserRow(trx: Trx, userId: string): Promise<void> {
  const query = trx.selectFrom('users').select('id').where('id', '=', userId);
  await (isPostgres(trx) ? query.forNoKeyUpdate() : query).executeTakeFirst();
}

/** Puts a user on another plan, which moves no credits. Refuses USER_NOT_FOUND. */
export function setPlan(db: Db, userId: string, plan: string): Promise<User> {
  return update(db, userId, { plan });
}

/** Blocks a user: within a second every gateway answers 403. Blocking again keeps the first time. */
export function blockUser(db: Db, userId: string): Promise<User> {
  return update(db, userId, { blocked_at: sql<string>`coalesce(blocked_at, ${now()})` });
}

/** Lets a blocked user in again. */
export function unblockUser(db: Db, userId: string): Promise<User> {
  return update(db, userId, { blocked_at: null });
}

type Change = { plan: string } | { blocked_at: ReturnType<typeof sql<string>> | null };

async function update(db: Db, userId: string, change: Change): Promise<User> {
  const row = await db
    .updateTable('users')
    .set({ ...change, updated_at: now() })
    .where('id', '=', userId)
    .returning(columns)
    .executeTakeFirst();
  if (row === undefined) throw notFound(userId);
  return userOf(row);
}

function userOf(row: Pick<Selectable<Tables['users']>, (typeof columns)[number]>): User {
  const { created_at: createdAt, updated_at: updatedAt, blocked_at: blockedAt, ...user } = row;
  return { ...user, createdAt, updatedAt, blockedAt };
}

function notFound(reference: string): Refusal {
  return new Refusal('USER_NOT_FOUND', `There is no user ${JSON.stringify(reference)}`);
}

function now(): string {
  return new Date().toISOString();
}
