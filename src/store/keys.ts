// API keys: what is kept of them and how they come and go. The keys themselves never reach the store, only their
// hashes. Triggers note every change here for the gateways, so that a revoked key is out within a second.

import { createId } from '@paralleldrive/cuid2';
import type { Selectable } from 'kysely';
import type { Db, Tables, Trx } from './database.ts';
import { Refusal } from './refusal.ts';
import { lockUserRow } from './users.ts';

/** A key, as shown to operators: everything but the key. Times are RFC 3339 in UTC. */
export interface ApiKey {
  /** `key_…` */
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  /** The first characters of the key. */
  readonly hint: string;
  /** Credits that all calls with this key together may cost, or null. */
  readonly limit: number | null;
  readonly spent: number;
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
  /** Until when the key before the last rotation is good, or null. */
  readonly previousExpiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly createdAt: string;
}

/** What the store keeps of a key that was generated. */
export interface KeyDigest {
  /** SHA-256, hex. */
  readonly hash: string;
  readonly hint: string;
}

/** The terms of a new key. */
export interface KeyTerms {
  readonly userId: string;
  readonly name: string;
  readonly limit: number | null;
  readonly expiresAt: string | null;
}

const columns = [
  'id',
  'user_id',
  'name',
  'hint',
  'limit_credits',
  'spent',
  'expires_at',
  'revoked_at',
  'previous_expires_at',
  'last_used_at',
  'created_at',
] as const;

/** Keeps a new key. The user exists: the caller has found it. */
export async function createKey(db: Db, { userId, name, limit, expiresAt }: KeyTerms, key: KeyDigest): Promise<ApiKey> {
  const row = await db
    .insertInto('api_keys')
    .values({
      id: `key_${createId()}`,
      user_id: userId,
      name,
      hash: key.hash,
      hint: key.hint,
      limit_credits: limit,
      expires_at: expiresAt,
    })
    .returning(columns)
    .executeTakeFirstOrThrow();
  return keyOf(row);
}

/** Keeps a new key unless its user has `max` that are good; then null. The user's row is locked, so that no two pass at once. */
export async function createKeyWithin(trx: Trx, terms: KeyTerms, key: KeyDigest, max: number): Promise<ApiKey | null> {
  await lockUserRow(trx, terms.userId);
  const { count } = await trx
    .selectFrom('api_keys')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('user_id', '=', terms.userId)
    .where('revoked_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', new Date().toISOString())]))
    .executeTakeFirstOrThrow();
  return count < max ? createKey(trx, terms, key) : null;
}

/** The keys of a user, oldest first, the revoked ones too. */
export async function listKeys(db: Db, userId: string): Promise<ApiKey[]> {
  const rows = await db
    .selectFrom('api_keys')
    .select(columns)
    .where('user_id', '=', userId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(keyOf);
}

/** Ends a key, and its predecessor in an overlap with it. Again: keeps the first time. Refuses KEY_NOT_FOUND. */
export async function revokeKey(trx: Trx, id: string): Promise<ApiKey> {
  await trx
    .updateTable('api_keys')
    .set({ revoked_at: new Date().toISOString() })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .execute();
  const row = await trx.selectFrom('api_keys').select(columns).where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw notFound(id);
  return keyOf(row);
}

/**
 * Replaces the key behind an id; limit, spending, expiry and history carry on. The old key is good for `overlapMs`
 * more; with 0 it ends at once. One before the old one, in an earlier overlap, ends now.
 * Refuses KEY_NOT_FOUND, KEY_REVOKED, KEY_EXPIRED.
 */
export async function rotateKey(trx: Trx, id: string, key: KeyDigest, overlapMs: number): Promise<ApiKey> {
  const now = Date.now();
  const isOverlapping = overlapMs > 0;
  const row = await trx
    .updateTable('api_keys')
    .set((column) => ({
      previous_hash: isOverlapping ? column.ref('hash') : null,
      previous_expires_at: isOverlapping ? new Date(now + overlapMs).toISOString() : null,
      hash: key.hash,
      hint: key.hint,
    }))
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .where((where) =>
      where.or([where('expires_at', 'is', null), where('expires_at', '>', new Date(now).toISOString())]),
    )
    .returning(columns)
    .executeTakeFirst();
  if (row !== undefined) return keyOf(row);
  const found = await trx.selectFrom('api_keys').select('revoked_at').where('id', '=', id).executeTakeFirst();
  if (found === undefined) throw notFound(id);
  throw found.revoked_at === null
    ? new Refusal('KEY_EXPIRED', `The key ${id} has expired`)
    : new Refusal('KEY_REVOKED', `The key ${id} is revoked`);
}

/** A key by its id, and by whose it is. */
export interface OwnKey {
  readonly userId: string;
  readonly id: string;
}

/** Like `revokeKey`, of a key of this user alone. Refuses KEY_NOT_FOUND. */
export async function revokeOwnKey(trx: Trx, { userId, id }: OwnKey): Promise<ApiKey> {
  await assertOwn(trx, { userId, id });
  return revokeKey(trx, id);
}

/** Like `rotateKey`, of a key of this user alone. Refuses KEY_NOT_FOUND, KEY_REVOKED, KEY_EXPIRED. */
export async function rotateOwnKey(trx: Trx, own: OwnKey, key: KeyDigest, overlapMs: number): Promise<ApiKey> {
  await assertOwn(trx, own);
  return rotateKey(trx, own.id, key, overlapMs);
}

async function assertOwn(trx: Trx, { userId, id }: OwnKey): Promise<void> {
  const own = trx.selectFrom('api_keys').select('id').where('id', '=', id).where('user_id', '=', userId);
  if ((await own.executeTakeFirst()) === undefined) throw notFound(id);
}

function keyOf(row: Pick<Selectable<Tables['api_keys']>, (typeof columns)[number]>): ApiKey {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    hint: row.hint,
    limit: row.limit_credits,
    spent: row.spent,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    previousExpiresAt: row.previous_expires_at,
    lastUsedAt: row.last_used_at,
    createdAt: row.created_at,
  };
}

function notFound(id: string): Refusal {
  return new Refusal('KEY_NOT_FOUND', `There is no key ${JSON.stringify(id)}`);
}
