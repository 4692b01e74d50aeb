// Who is behind a credential, as the store knows it.

import { sql } from 'kysely';
import type { Db } from './database.ts';

/** Who is behind a credential, and what it is good for. */
export interface CallerIdentity {
  readonly userId: string;
  /** Null for what is no API key. */
  readonly keyId: string | null;
  readonly hasKeyLimit: boolean;
  readonly isBlocked: boolean;
  /** Milliseconds since 1970; null while nothing ends it. A revoked key is not found at all. */
  readonly goodUntil: number | null;
  /** Of a token; null for an API key. */
  readonly issuer: string | null;
  /** What a token is good for; null where everything is allowed. */
  readonly scopes: readonly string[] | null;
}

/** Finds a key by the SHA-256 (hex) of the secret, also by the one it had before a rotation that overlaps. */
export async function findKeyIdentity(db: Db, hash: string): Promise<CallerIdentity | null> {
  const row = await db
    .selectFrom('api_keys as k')
    .innerJoin('users as u', 'u.id', 'k.user_id')
    .select(['k.id', 'k.user_id', 'k.hash', 'k.expires_at', 'k.previous_expires_at', 'k.limit_credits', 'u.blocked_at'])
    .where((where) => where.or([where('k.hash', '=', hash), where('k.previous_hash', '=', hash)]))
    .where(sql<boolean>`k.revoked_at IS NULL`)
    .executeTakeFirst();
  if (row === undefined) return null;
  const ends = [row.expires_at, row.hash === hash ? null : row.previous_expires_at];
  const times = ends.filter((end) => end !== null).map((end) => Date.parse(end));
  return {
    userId: row.user_id,
    keyId: row.id,
    hasKeyLimit: row.limit_credits !== null,
    isBlocked: row.blocked_at !== null,
    goodUntil: times.length === 0 ? null : Math.min(...times),
    issuer: null,
    scopes: null,
  };
}
