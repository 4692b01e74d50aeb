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

/** The users with these ids, as far as they are there, in no order. */
export async function listUsersWithIds(db: Db, ids: readonly string[]): Promise<User[]> {
  const rows = await db.selectFrom('users').select(columns).where('id', 'in', ids).execute();
  return rows.map(userOf);
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

/** A page looks at so many users for those that are searched for: where few are, it is short, and the next one goes on. */
const lookedAtMax = 20_000;

/**
 * A page of sorted users, and the place after which the next one begins; null at the end. There is an index for each order,
 * but for that of credits on PostgreSQL, where all users are read.
 */
export async function listUsersBy(
  db: Db,
  order: { readonly by: UserOrder; readonly isDescending: boolean },
  { search, after, limit }: { search?: string | undefined; after?: UserPlace | undefined; limit: number },
): Promise<{ users: User[]; next: UserPlace | null }> {
  const { key, told } = orderOf(db, order.by);
  const direction = order.isDescending ? 'desc' : 'asc';
  let beyond = db.selectFrom('users').select([...columns, key.as('key')]);
  if (after !== undefined) {
    const isBeyond = sql.raw(order.isDescending ? '<' : '>');
    // The first half is in the second; SQLite goes by an index of expressions for the first alone.
    beyond = beyond.where(
      sql<SqlBool>`${key} ${isBeyond}= ${after.key} AND (${key}, id) ${isBeyond} (${after.key}, ${after.id})`,
    );
  }
  const sorted = beyond.orderBy(key, direction).orderBy('id', direction);
  const looked = sorted.limit(search === undefined ? limit + 1 : lookedAtMax);
  const found = db
    .selectFrom(looked.as('looked'))
    .select([...columns, told.as('told')])
    .where(holds(search));
  const rows = await found
    .orderBy('key', direction)
    .orderBy('id', direction)
    .limit(limit + 1)
    .execute();
  const users = rows.slice(0, limit);
  let last: { id: string; told: UserPlace['key'] } | undefined;
  if (rows.length > limit) last = users.at(-1);
  else if (search !== undefined) {
    const end = sorted.offset(lookedAtMax - 1).limit(1);
    last = await db
      .selectFrom(end.as('looked'))
      .select(['id', told.as('told')])
      .executeTakeFirst();
  }
  return {
    users: users.map(({ told: _, ...row }) => userOf(row)),
    next: last === undefined ? null : { key: last.told, id: last.id },
  };
}

/** By what users are sorted, as its index has it, and how it is told of a row that has it as `key`. */
function orderOf(db: Db, by: UserOrder): { key: RawBuilder<unknown>; told: RawBuilder<string | number> } {
  const told = sql<string | number>`key`;
  if (by === 'credits') return { key: sql`credits`, told };
  if (by === 'email') return { key: sql`coalesce(lower(email), '')`, told };
  if (by === 'name') return { key: sql`substr(lower(name), 1, 128)`, told };
  const exactly = sql<string>`to_char(key, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  return { key: sql`created_at`, told: isPostgres(db) ? exactly : told };
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
