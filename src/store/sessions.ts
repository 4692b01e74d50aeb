// Sessions: who has signed in, where, and until when. What their cookies hold never reaches the store, only its hash.
// Triggers note each session that ends for the gateways, so that it is out within a second.

import { type Db, isPostgres, type Trx } from './database.ts';
import { lockUserRow } from './users.ts';

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

/** A session that is good. */
export interface Session extends Pick<NewSession, 'userId' | 'provider' | 'vouchedEmail' | 'expiresAt'> {
  readonly isBlocked: boolean;
}

/** Sessions of one user; beyond that the one that was used longest ago ends. */
const sessionsOfUserMax = 50;

/** As many are cleared away at once. */
const clearedMax = 100;

/** Begins a session. `replaces` (a hash) is one of the same browser, which ends with it. */
export async function beginSession(trx: Trx, session: NewSession, replaces: string | null): Promise<void> {
  const { hash, userId: user_id, provider, vouchedEmail: vouched_email, expiresAt: expires_at } = session;
  const now = new Date().toISOString();
  await lockUserRow(trx, user_id);
  const surplus = trx
    .selectFrom('sessions')
    .select('hash')
    .where('user_id', '=', user_id)
    .orderBy('used_at', 'desc')
    .limit(clearedMax)
    .offset(sessionsOfUserMax - 1);
  await trx.deleteFrom('sessions').where('hash', 'in', surplus).execute();
  if (replaces !== null) await endSession(trx, replaces);
  await trx
    .insertInto('sessions')
    .values({ hash, user_id, provider, vouched_email, expires_at, created_at: now, used_at: now })
    .execute();
}

/** Clears away some sessions that have ended, whosever they are. */
export async function clearEndedSessions(db: Db): Promise<void> {
  const now = new Date().toISOString();
  const ended = db.selectFrom('sessions').select('hash').where('expires_at', '<=', now).limit(clearedMax);
  // Two that clear away the same rows would wait for each other.
  const free = isPostgres(db) ? ended.forUpdate().skipLocked() : ended;
  await db.deleteFrom('sessions').where('hash', 'in', free).execute();
}

/** The session with this hash, or null: it has ended, or has idled for longer than `idleMs`. */
export async function findSession(db: Db, hash: string, idleMs: number): Promise<Session | null> {
  const now = Date.now();
  const row = await db
    .selectFrom('sessions as s')
    .innerJoin('users as u', 'u.id', 's.user_id')
    .select(['s.user_id', 's.provider', 's.vouched_email', 's.used_at', 's.expires_at', 'u.blocked_at'])
    .where('s.hash', '=', hash)
    .executeTakeFirst();
  if (row === undefined) return null;
  const { user_id: userId, provider, vouched_email: vouchedEmail, used_at, expires_at: expiresAt, blocked_at } = row;
  if (Date.parse(expiresAt) <= now || Date.parse(used_at) + idleMs <= now) return null;
  return { userId, provider, vouchedEmail, isBlocked: blocked_at !== null, expiresAt };
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

/** Ends a session. False when there was none. */
export async function endSession(db: Db, hash: string): Promise<boolean> {
  const { numDeletedRows } = await db.deleteFrom('sessions').where('hash', '=', hash).executeTakeFirstOrThrow();
  return numDeletedRows > 0n;
}

/** Ends all sessions of a user. */
export async function endSessionsOfUser(db: Db, userId: string): Promise<void> {
  await db.deleteFrom('sessions').where('user_id', '=', userId).execute();
}
