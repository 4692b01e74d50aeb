// Sessions: who has signed in, where, and until when. What their cookies hold never reaches the store, only its hash.
// Triggers note each session that ends for the gateways, so that it is out within a second.

import { type Db, isPostgres, type Trx } from './database.ts';

/** A session that begins. */
export interface NewSession {
  /** SHA-256 of what its cookie holds, hex. */
  readonly hash: string;
  readonly userId: string;
  readonly provider: string;
  /** An address that the provider vouched for; null without one. */
  readonly vouchedEmail: string | null;
  /** RFC 3339, UTC. */
  readonly expiresAt: string;
}

/** A session that is good. Times are RFC 3339 in UTC. */
export interface Session {
  readonly userId: string;
  readonly isBlocked: boolean;
  readonly expiresAt: string;
}

/** Sessions of one user; beyond that the one that was used longest ago ends. */
const sessionsOfUserMax = 50;

/** As many ended sessions as this are cleared away whenever one begins. */
const clearedMax = 100;

/** Begins a session. `replaces` (a hash) is one of the same browser, which ends with it. */
export async function beginSession(trx: Trx, session: NewSession, replaces: string | null): Promise<void> {
  const now = new Date().toISOString();
  const past = trx.selectFrom('sessions').select('hash').where('expires_at', '<=', now).limit(clearedMax);
  const surplus = trx
    .selectFrom('sessions')
    .select('hash')
    .where('user_id', '=', session.userId)
    .orderBy('used_at', 'desc')
    .limit(clearedMax)
    .offset(sessionsOfUserMax - 1);
  for (const ended of [past, surplus]) {
    // Two that clear away the same rows would wait for each other.
    const free = isPostgres(trx) ? ended.forUpdate().skipLocked() : ended;
    await trx.deleteFrom('sessions').where('hash', 'in', free).execute();
  }
  if (replaces !== null) await endSession(trx, replaces);
  const { hash, userId: user_id, provider, vouchedEmail: vouched_email, expiresAt: expires_at } = session;
  await trx
    .insertInto('sessions')
    .values({ hash, user_id, provider, vouched_email, expires_at, created_at: now, used_at: now })
    .execute();
}

/** The session with this hash, or null: it has ended, or has idled for longer than `idleMs`. */
export async function findSession(db: Db, hash: string, idleMs: number): Promise<Session | null> {
  const now = Date.now();
  const row = await db
    .selectFrom('sessions as s')
    .innerJoin('users as u', 'u.id', 's.user_id')
    .select(['s.user_id', 's.used_at', 's.expires_at', 'u.blocked_at'])
    .where('s.hash', '=', hash)
    .executeTakeFirst();
  if (row === undefined) return null;
  const { user_id: userId, used_at: usedAt, expires_at: expiresAt, blocked_at } = row;
  if (Date.parse(expiresAt) <= now || Date.parse(usedAt) + idleMs <= now) return null;
  return { userId, isBlocked: blocked_at !== null, expiresAt };
}

/** Whose session this is, as shown to them, and when it ends; null where there is none any more. */
export async function describeSession(db: Db, hash: string) {
  const row = await db
    .selectFrom('sessions as s')
    .innerJoin('users as u', 'u.id', 's.user_id')
    .select(['u.id', 'u.email', 'u.name', 'u.picture', 'u.plan', 'u.credits', 's.expires_at'])
    .where('s.hash', '=', hash)
    .executeTakeFirst();
  if (row === undefined) return null;
  const { expires_at: expiresAt, ...user } = row;
  return { user, expiresAt };
}

/** Notes that a session is in use. */
export async function touchSession(db: Db, hash: string): Promise<void> {
  await db.updateTable('sessions').set({ used_at: new Date().toISOString() }).where('hash', '=', hash).execute();
}

/** Ends a session; with no such session nothing happens. */
export async function endSession(db: Db, hash: string): Promise<void> {
  await db.deleteFrom('sessions').where('hash', '=', hash).execute();
}

/** Ends all sessions of the user whose session this is. */
export async function endSessionsOfSameUser(db: Db, hash: string): Promise<void> {
  const user = db.selectFrom('sessions').select('user_id').where('hash', '=', hash);
  await db.deleteFrom('sessions').where('user_id', 'in', user).execute();
}
