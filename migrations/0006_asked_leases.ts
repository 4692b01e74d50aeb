// The index of the leases by instance tells those that are asked for: each exchange looks for its own among them, and most
// of the time there are none. Without it all leases of the instance were looked through, as many as it has had callers of late.

import { type Kysely, sql } from 'kysely';

/** What `down` takes away, for the operator to read before it happens. */
export const drops: string[] = [];

export async function up(db: Kysely<unknown>): Promise<void> {
  await replaceIndex(db, '(instance, recall)');
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await replaceIndex(db, '(instance)');
}

async function replaceIndex(db: Kysely<unknown>, columns: string): Promise<void> {
  await sql`DROP INDEX leases_by_instance`.execute(db);
  await sql.raw(`CREATE INDEX leases_by_instance ON leases ${columns}`).execute(db);
}
