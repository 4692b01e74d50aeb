// Sets the credits of many users at once, with one ledger entry each. Batches commit one by one, and a user who has the
// amount is skipped: so a run that was killed is simply started again. Each batch is short, for a gateway may be
// running beside it: on SQLite it holds the only write lock, on PostgreSQL the rows of its users.

import { setImmediate } from 'node:timers/promises';
import { type SqlBool, sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { type Db, isOneOf, isPostgres, rowsOf, type Trx, transact } from './database.ts';

/** Users that one transaction changes. */
const batchSize = 2_000;

const note = 'backfill';

/** What a run does. */
export interface Backfill {
  /** The balance to set: 0 or more. */
  readonly credits: number;
  /** Every user, or only those with 0 or less. */
  readonly isAll: boolean;
  /** For the ledger. */
  readonly actor: string;
  /** Stops between two batches. */
  readonly signal?: AbortSignal | undefined;
  /** Told after each batch how many users were set so far. */
  readonly onProgress?: ((users: number) => void) | undefined;
}

/** How many users a run would change. */
export async function countBackfill(db: Db, which: Pick<Backfill, 'credits' | 'isAll'>): Promise<number> {
  const { users } = await db
    .selectFrom('users')
    .select((count) => count.fn.countAll<number>().as('users'))
    .where(isDue(which))
    .executeTakeFirstOrThrow();
  return users;
}

/** Sets the balances. Gives how many users were changed, and whether the signal stopped it before the end. */
export async function backfillCredits(db: Db, backfill: Backfill): Promise<{ users: number; isStopped: boolean }> {
  let users = 0;
  let after = '';
  while (backfill.signal?.aborted !== true) {
    // Looked for outside of the transaction: few users may be due among many, and nobody has to wait for the search.
    const due = await db
      .selectFrom('users')
      .select('id')
      .where('id', '>', after)
      .where(isDue(backfill))
      .orderBy('id')
      .limit(batchSize)
      .execute();
    const last = due.at(-1);
    if (last === undefined) return { users, isStopped: false };
    const ids = due.map(({ id }) => id);
    users += await transact(db, (trx) => setBatch(trx, ids, backfill));
    backfill.onProgress?.(users);
    after = last.id;
    // SQLite answers within the turn: without this, signals and the progress bar would wait for the end.
    await setImmediate();
  }
  return { users, isStopped: true };
}

/** Locks these users in the order of their ids, as the sync does, and sets those that are still due. */
async function setBatch(trx: Trx, ids: readonly string[], backfill: Backfill): Promise<number> {
  const query = trx
    .selectFrom('users')
    .select(['id', 'credits'])
    .where(isOneOf(trx, 'id', ids))
    .where(isDue(backfill))
    .orderBy('id');
  const users = await (isPostgres(trx) ? query.forNoKeyUpdate() : query).execute();
  const entries = users.map(({ id, credits }) => ({ id: uuidv7(), user: id, amount: backfill.credits - credits }));
  const columns = { id: 'text', user: 'text', amount: 'bigint' } as const;
  await sql`
    INSERT INTO ledger (id, user_id, kind, amount, actor, note)
    SELECT v.id, v."user", 'adjustment', v.amount, ${backfill.actor}, ${note}
    FROM ${rowsOf(trx, columns, entries)}`.execute(trx);
  const locked = users.map(({ id }) => id);
  await trx
    .updateTable('users')
    .set((column) => ({
      credits: backfill.credits,
      posted: column('posted', '+', 1),
      updated_at: new Date().toISOString(),
    }))
    .where(isOneOf(trx, 'id', locked))
    .execute();
  await trx
    .updateTable('leases')
    .set({ recall: 'asked' })
    .where('recall', '=', '')
    .where(isOneOf(trx, 'user_id', locked))
    .execute();
  return users.length;
}

function isDue({ credits, isAll }: Pick<Backfill, 'credits' | 'isAll'>) {
  return isAll ? sql<SqlBool>`credits <> ${credits}` : sql<SqlBool>`credits <= 0 AND credits <> ${credits}`;
}
