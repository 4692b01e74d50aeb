// The index of the ledger by user holds the amounts too: an audit reads the index alone, in its order, and not each entry
// where it happens to lie.

import { type Kysely, sql } from 'kysely';
import { isPostgres } from '../src/store/database.ts';

/** What `down` takes away, for the operator to read before it happens. */
export const drops: string[] = [];

export async function up(db: Kysely<unknown>): Promise<void> {
  await replaceIndex(db, isPostgres(db) ? '(user_id, id) INCLUDE (amount)' : '(user_id, id, amount)');
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await replaceIndex(db, '(user_id, id)');
}

async function replaceIndex(db: Kysely<unknown>, columns: string): Promise<void> {
  await sql`DROP INDEX ledger_by_user`.execute(db);
  await sql.raw(`CREATE INDEX ledger_by_user ON ledger ${columns}`).execute(db);
}
