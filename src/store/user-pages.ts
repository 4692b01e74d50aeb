// Users page by page, as operators look through them: where one page ends and the next begins goes round as a cursor.

import type { Db } from './database.ts';
import { isBadData } from './outage.ts';
import { listUsersBy, type User, type UserOrder, type UserPlace } from './users.ts';

export interface UserQuery {
  /** What the id, name or address holds, in any case; all users where it is empty or absent. */
  readonly search?: string | undefined;
  readonly sort: UserOrder;
  readonly order: 'asc' | 'desc';
  /** `next` of the page before, of the same order. */
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** A page of users, and the cursor of the next one; null at the end. Null for a cursor that is of another order, or none. */
export async function findUserPage(
  db: Db,
  { search, sort, order, cursor, limit }: UserQuery,
): Promise<{ users: User[]; next: string | null } | null> {
  const after = cursor === undefined ? undefined : placeOf(cursor, `${sort} ${order}`);
  if (after === null) return null;
  const by = { by: sort, isDescending: order === 'desc' };
  const found = await listUsersBy(db, by, { search: search || undefined, after, limit }).catch((error) => {
    // A cursor that somebody has made up may be nothing that can be compared.
    if (isBadData(error)) return null;
    throw error;
  });
  return found && { users: found.users, next: found.next && cursorOf(found.next, `${sort} ${order}`) };
}

function cursorOf({ key, id }: UserPlace, order: string): string {
  return Buffer.from(JSON.stringify([order, key, id])).toString('base64url');
}

function placeOf(cursor: string, order: string): UserPlace | null {
  const [of, key, id] = membersOf(Buffer.from(cursor, 'base64url').toString());
  const isKey = order.startsWith('credits ') ? Number.isSafeInteger(key) : isText(key);
  return of === order && isKey && isText(id) ? { key: key as UserPlace['key'], id } : null;
}

/** PostgreSQL takes no NUL in a text. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0');
}

function membersOf(json: string): unknown[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
