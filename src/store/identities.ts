// Who is behind a credential, as the store knows it.

import { sql } from 'kysely';
import type { Db } from './database.ts';

/** The key and user behind the hash of an API key. */
export interface KeyIdentity {
  readonly keyId: string;
  readonly userId: string;
  readonly hasKeyLimit: boolean;
  readonly isBlocked: boolean;
  /** RFC 3339; null while nothing ends it. A revoked key is not found at all. */
  readonly goodUntil: string | null;
}

/** Finds a key by the SHA-256 (hex) of the secret, also by the one it had before a rotation that overlaps. */
export async function findKeyIdentity(db: Db, hash: string): Promise<KeyIdentity | null> {
  const row = await db
    .selectFrom('api_keys as k')
    .innerJoin('users as u', 'u.id', 'k.user_id')
    .select(['k.id', 'k.user_id', 'k.hash', 'k.expires_at', 'k.previous_expires_at', 'k.limit_credits', 'u.blocked_at'])
    .where((where) => where.or([where('k.hash', '=', hash), where('k.previous_hash', '=', hash)]))
    .where(sql<boolean>`k.revoked_at IS NULL`)
    .executeTakeFirst();
  if (row === undefined) return null;
  const ends = [row.expires_at, row.hash === hash ? null : row.previous_expires_at];
  return {
    keyId: row.id,
    userId: row.user_id,
    hasKeyLimit: row.limit_credits !== null,
    isBlocked: row.blocked_at !== null,
    goodUntil: ends.filter((end) => end !== null).toSorted()[0] ?? null,
  };
}
