// What a request that may come again was answered: the same request under the same idempotency key gets the same answer.
// Until there is one the request is under way, or whoever had it has died.

import { type Kysely, sql } from 'kysely';
import { isPostgres } from '../src/store/database.ts';

/** What `down` takes away, for the operator to read before it happens. */
export const drops: string[] = [];

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE idempotency_keys ADD COLUMN answer text`.execute(db);
  // What was done before was done at once, and its balance was not kept.
  const asJson = sql.raw(isPostgres(db) ? 'json_build_object' : 'json_object');
  await sql`UPDATE idempotency_keys SET answer = CAST(${asJson}('entryId', l.id, 'userId', l.user_id, 'kind', l.kind,
      'amount', l.amount, 'balance', u.credits) AS text)
    FROM ledger AS l JOIN users AS u ON u.id = l.user_id WHERE l.id = idempotency_keys.entry_id`.execute(db);
  await sql`CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at)`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP INDEX idempotency_keys_by_time`.execute(db);
  await sql`ALTER TABLE idempotency_keys DROP COLUMN answer`.execute(db);
}
