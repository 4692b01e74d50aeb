// What is put aside while a database is filled and is the same again afterwards: triggers and an index. All in the
// transaction of the filling, so that nobody ever sees the tables without them.

import { sql } from 'kysely';
import { isPostgres, type Trx } from '../../../src/store/database.ts';

/** Does the work while no trigger of these tables fires. */
export async function withoutTriggers(trx: Trx, tables: readonly string[], work: () => Promise<void>): Promise<void> {
  if (isPostgres(trx)) {
    // USER: those of foreign keys go on.
    for (const table of tables) await sql`ALTER TABLE ${sql.ref(table)} DISABLE TRIGGER USER`.execute(trx);
    await work();
    for (const table of tables) await sql`ALTER TABLE ${sql.ref(table)} ENABLE TRIGGER USER`.execute(trx);
    return;
  }
  // SQLite cannot turn one off: it goes, and is made anew by its own text.
  const { rows } = await sql<{ name: string; text: string }>`SELECT name, sql AS text FROM sqlite_master
    WHERE type = 'trigger' AND tbl_name IN (${sql.join(tables)})`.execute(trx);
  for (const { name } of rows) await sql`DROP TRIGGER ${sql.ref(name)}`.execute(trx);
  await work();
  for (const { text } of rows) await sql.raw(text).execute(trx);
}

/** Does the work without an index, and builds it afterwards: much sooner done than keeping it for each row. */
export async function rebuildingIndex(trx: Trx, name: string, work: () => Promise<void>): Promise<void> {
  const found = isPostgres(trx)
    ? sql<{
        text: string;
      }>`SELECT indexdef AS text FROM pg_indexes WHERE indexname = ${name} AND schemaname = current_schema`
    : sql<{ text: string }>`SELECT sql AS text FROM sqlite_master WHERE type = 'index' AND name = ${name}`;
  const [index] = (await found.execute(trx)).rows;
  if (index === undefined) throw new Error(`there is no index ${name}`);
  await sql`DROP INDEX ${sql.ref(name)}`.execute(trx);
  await work();
  await sql.raw(index.text).execute(trx);
}
