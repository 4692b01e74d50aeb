// Who is behind a credential, as the store knows it.

import { setImmediate as endOfTurn } from 'node:timers/promises';
import { sql } from 'kysely';
import { type Db, isOneOf } from './database.ts';

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

/** Finds a key by its hash, those that are asked for in one turn of the event loop with one statement; null for none. */
export function keyFinder(db: Db): (hash: string) => Promise<CallerIdentity | null> {
  let asked: string[] = [];
  let reading: Promise<Map<string, CallerIdentity>> | null = null;
  const readAll = async () => {
    await endOfTurn();
    const hashes = asked;
    asked = [];
    reading = null;
    return findKeyIdentities(db, hashes);
  };
  return async (hash) => {
    asked.push(hash);
    reading ??= readAll();
    return (await reading).get(hash) ?? null;
  };
}

/** Finds keys by the SHA-256 (hex) of their secrets, also by the one that a key had before a rotation that overlaps. */
export async function findKeyIdentities(db: Db, hashes: readonly string[]): Promise<Map<string, CallerIdentity>> {
  const rows = await db
    .selectFrom('api_keys as k')
    .innerJoin('users as u', 'u.id', 'k.user_id')
    .select(['k.id', 'k.user_id', 'k.hash', 'k.expires_at', 'k.limit_credits', 'u.blocked_at'])
    .select(['k.previous_hash', 'k.previous_expires_at'])
    .where((where) => where.or([isOneOf(db, 'k.hash', hashes), isOneOf(db, 'k.previous_hash', hashes)]))
    .where(sql<boolean>`k.revoked_at IS NULL`)
    .execute();
  const asked = new Set(hashes);
  const found = new Map<string, CallerIdentity>();
  for (const row of rows) {
    for (const hash of [row.hash, row.previous_hash]) {
      if (hash === null || !asked.has(hash)) continue;
      const ends = [row.expires_at, hash === row.hash ? null : row.previous_expires_at];
      const times = ends.filter((end) => end !== null).map((end) => Date.parse(end));
      found.set(hash, {
        userId: row.user_id,
        keyId: row.id,
        hasKeyLimit: row.limit_credits !== null,
        isBlocked: row.blocked_at !== null,
        goodUntil: times.length === 0 ? null : Math.min(...times),
        issuer: null,
        scopes: null,
      });
    }
  }
  return found;
}

/** Every subject of these users. */
export async function findSubjectsOf(db: Db, userIds: readonly string[]) {
  const rows = await db
    .selectFrom('identities as i')
    .innerJoin('users as u', 'u.id', 'i.user_id')
    .select(['i.issuer', 'i.subject', 'i.user_id as userId', 'u.blocked_at'])
    .where(isOneOf(db, 'u.id', userIds))
    .execute();
  return rows.map(({ blocked_at, ...row }) => ({ ...row, isBlocked: blocked_at !== null }));
}
