// How each call ended that was charged, so that its entry says why it was. What was booked before, and what is no charge,
// has none.

import { type Kysely, sql } from 'kysely';

/** What `down` takes away, for the operator to read before it happens. */
export const drops: string[] = [];

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE ledger ADD COLUMN ended text`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE ledger DROP COLUMN ended`.execute(db);
}
