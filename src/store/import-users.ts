// Creates many users at once. Idempotent by e-mail address: who is there already is left alone, so the same list can
// be imported again, after a kill or after a month.

import { setImmediate } from 'node:timers/promises';
import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { type Db, rowsOf, type Trx, transact } from './database.ts';

/** A user to create. */
export interface ImportedUser {
  readonly email: string;
  readonly name: string;
  readonly plan: string;
  readonly credits: number;
}

/** Users that one transaction creates. */
const batchSize = 1_000;

/** Creates those that do not exist, with a `signup` entry each. Batches commit one by one; `onProgress` hears of each. */
export async function importUsers(
  db: Db,
  users: readonly ImportedUser[],
  { actor, onProgress }: { actor: string; onProgress?: (done: number) => void },
): Promise<{ created: number; existing: number }> {
  let created = 0;
  for (let at = 0; at < users.length; at += batchSize) {
    const batch = users.slice(at, at + batchSize);
    created += await transact(db, (trx) => importBatch(trx, batch, actor));
    onProgress?.(at + batch.length);
    // SQLite answers within the turn: without this, signals and the progress bar would wait for the end.
    await setImmediate();
  }
  return { created, existing: users.length - created };
}

async function importBatch(trx: Trx, users: readonly ImportedUser[], actor: string): Promise<number> {
  const columns = { email: 'text', name: 'text', plan: 'text', credits: 'bigint' } as const;
  // WHERE true: without it SQLite takes ON CONFLICT for a join condition.
  const { rows } = await sql<{ id: string; credits: number }>`
    INSERT INTO users (email, name, plan, credits, posted)
    SELECT v.email, v.name, v.plan, v.credits, 1 FROM ${rowsOf(trx, columns, users)}
    WHERE true ON CONFLICT DO NOTHING
    RETURNING id, credits`.execute(trx);
  const entries = rows.filter(({ credits }) => credits !== 0).map((row) => ({ ...row, user: row.id, id: uuidv7() }));
  await sql`
    INSERT INTO ledger (id, user_id, kind, amount, actor)
    SELECT v.id, v."user", 'signup', v.credits, ${actor}
    FROM ${rowsOf(trx, { id: 'text', user: 'text', credits: 'bigint' }, entries)}`.execute(trx);
  return rows.length;
}
