// The gateway processes that share this database. Each start is a new instance; one that stands still is fenced, which
// ends its leases for good. No clocks are compared: whoever watches counts its own seconds.

import { type RawBuilder, sql } from 'kysely';
import { type Db, isPostgres, transact } from './database.ts';

/** How long what is over stays, for a human who looks for it: instances, and changes that everybody has heard of. */
const pastKeptDays = 1;

/** Enters a new instance, unless it is known already, and clears away what is long past. */
export async function registerInstance(db: Db, id: string): Promise<void> {
  const before = new Date(Date.now() - pastKeptDays * 86_400_000).toISOString();
  await db.deleteFrom('instances').where(sql<boolean>`fenced`).where('started_at', '<', before).execute();
  await db.deleteFrom('changes').where('at', '<', before).execute();
  await freeLeases(db, sql`NOT EXISTS (SELECT 1 FROM instances WHERE id = leases.instance AND NOT fenced)`);
  await db
    .insertInto('instances')
    .values({ id, seq: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** The living instances with what they have reserved, the oldest first. */
export async function describeInstances(db: Db) {
  return db
    .selectFrom('instances as i')
    .leftJoin('leases as l', 'l.instance', 'i.id')
    .select(['i.id', 'i.started_at as startedAt', 'i.seq as messages'])
    .select((column) => [
      column.fn.count<number>('l.user_id').as('leases'),
      sql<number>`coalesce(sum(l.amount), 0)`.as('leasedCredits'),
    ])
    .where(sql<boolean>`NOT i.fenced`)
    .groupBy(['i.id', 'i.started_at', 'i.seq'])
    .orderBy('i.started_at')
    .execute();
}

/** Where a living instance stands; null for one that is fenced or not known. */
export async function seqOfInstance(db: Db, id: string): Promise<number | null> {
  const living = db.selectFrom('instances').select('seq').where('id', '=', id).where(sql<boolean>`NOT fenced`);
  return (await living.executeTakeFirst())?.seq ?? null;
}

/**
 * Fences an instance that still stands at `seq` (any when null), and frees its leases at once. Returns false when it has
 * moved on since, is about to (its row is locked), or was fenced before.
 */
export async function fenceInstance(db: Db, id: string, seq: number | null): Promise<boolean> {
  return transact(db, async (trx) => {
    let standing = trx.selectFrom('instances').select('id').where('id', '=', id).where(sql<boolean>`NOT fenced`);
    if (seq !== null) standing = standing.where('seq', '=', seq);
    // Every watcher tries twice a second: without SKIP LOCKED, one row that stays locked would take all connections.
    if (isPostgres(trx)) standing = standing.forUpdate().skipLocked();
    if ((await standing.executeTakeFirst()) === undefined) return false;
    await trx.updateTable('instances').set({ fenced: sql<boolean>`true` }).where('id', '=', id).execute();
    await freeLeases(trx, sql`instance = ${id}`);
    return true;
  });
}

/**
 * Clears away leases that are not live any more, but for those that somebody has locked, by an edit that is not committed:
 * they count for nothing, and the next start clears them away.
 */
async function freeLeases(db: Db, isOver: RawBuilder<unknown>): Promise<void> {
  const lock = isPostgres(db) ? sql`FOR UPDATE SKIP LOCKED` : sql``;
  await sql`DELETE FROM leases WHERE (user_id, key_id, instance) IN
    (SELECT user_id, key_id, instance FROM leases WHERE ${isOver} ${lock})`.execute(db);
}
