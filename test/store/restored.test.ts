// A database that comes out of a dump or a copy keeps its books, with triggers on while it is loaded and off, and gateways
// go on with it. The dumps are made here in the way of pg_dump and sqlite3: rows as COPY and `.dump` write them, functions
// and triggers as the catalogue gives them, after the data.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import type pg from 'pg';
import t, { type Test } from 'tap';
import { type Database, type Db, openDatabase } from '../../src/store/database.ts';
import { copyIn, copyOut, withClient } from '../helpers/copy.ts';
import { migratedDatabase, openAgain, temporaryFolder } from '../helpers/databases.ts';
import { addKey, auditOf, callerOf, callOnce, openTestMeter, tryHold } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

/** The order in which pg_dump writes data: by name, but what others refer to first. */
const usersFirst = ['users', 'api_keys', 'changes', 'idempotency_keys', 'identities', 'instances', 'leases', 'ledger'];
const ledgerFirst = ['ledger', ...usersFirst.filter((table) => table !== 'ledger')];

t.test('postgres: a dump of everything has its triggers, and old leases do no harm', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await live(test.database);
  const dump = await withClient(test, (client) => dumpSchema(client, test.schema));
  await withClient(test, (client) => restoreSchema(client, test.schema, dump));
  await assertRestored(t, test.database);
  await assertNoHarm(t, test.database);
});

for (const [name, order] of Object.entries({ 'users first': usersFirst, 'the ledger first': ledgerFirst })) {
  t.test(`postgres: data loaded under the triggers, ${name}, is booked once`, async (t) => {
    const [test, copy] = [await migratedDatabase(t, 'postgres'), await migratedDatabase(t, 'postgres')];
    await live(test.database);
    const rows = await withClient(test, (client) => copyAllOut(client));
    await withClient(copy, async (client) => {
      for (const table of order) await copyIn(client, table, rows.get(table) ?? '');
    });
    await assertRestored(t, copy.database);
  });

  t.test(`sqlite: data loaded under the triggers, ${name}, is booked once`, async (t) => {
    const [test, copy] = [await migratedDatabase(t, 'sqlite'), await migratedDatabase(t, 'sqlite')];
    await live(test.database);
    for (const table of order) await run(copy.database.db, await insertsOf(test.database.db, table));
    await assertRestored(t, copy.database);
  });
}

t.test('postgres: data loaded as a replica is left as it is', async (t) => {
  const [test, copy] = [await migratedDatabase(t, 'postgres'), await migratedDatabase(t, 'postgres')];
  await live(test.database);
  const rows = await withClient(test, (client) => copyAllOut(client));
  await withClient(copy, async (client) => {
    await client.query('SET session_replication_role = replica');
    for (const table of [...usersFirst].reverse()) await copyIn(client, table, rows.get(table) ?? '');
  });
  await assertRestored(t, copy.database);
});

t.test('postgres: gateways go on when their database becomes what it was', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await live(test.database);
  const caller = callerOf('hand');
  const { meter: early } = await openTestMeter(t, openAgain(t, test));
  t.equal(await callOnce(early, caller, 1), null);
  const dump = await withClient(test, (client) => dumpSchema(client, test.schema));
  const { meter: late, observed } = await openTestMeter(t, openAgain(t, test));
  for (const meter of [early, late]) t.equal(await callOnce(meter, caller, 10), null);
  const held = await tryHold(late, caller, 5);
  await until(
    () => early.state().unsentCharges + late.state().unsentCharges,
    (unsent) => unsent === 0,
  );
  const { instance } = late.state();
  await withClient(test, (client) => restoreSchema(client, test.schema, dump));
  if (typeof held === 'string') throw new Error(held);
  late.settle(held, 200, 'delivered');
  await until(
    () => late.state().instance,
    (now) => now !== instance,
  );
  for (const meter of [early, late]) t.equal(await callOnce(meter, caller, 1), null);
  await test.database.db.updateTable('users').set({ blocked_at: sql`now()` }).where('id', '=', 'hand').execute();
  await until(
    () => observed.changes.map(({ ref }) => ref),
    (refs) => refs.includes('hand'),
  );
  await Promise.all([early.close(), late.close()]);
  t.same((await auditOf(test.database.db)).differences, []);
});

t.test('sqlite: a copy that VACUUM makes, and a dump of everything, are whole', async (t) => {
  const test = await migratedDatabase(t, 'sqlite');
  await live(test.database);
  const folder = await temporaryFolder(t);
  const copy = join(folder, 'copy.db');
  await sql`VACUUM INTO ${copy}`.execute(test.database.db);
  await assertRestored(t, openFile(t, copy));
  await assertNoHarm(t, openFile(t, copy));
  await rm(copy);
  const dumped = openFile(t, join(folder, 'dumped.db'));
  for (const statement of await dumpOf(test.database.db)) await sql.raw(statement).execute(dumped.db);
  await assertRestored(t, dumped);
});

/** A little of everything: users by hand and not, edits, calls, and leases of an instance that died. */
async function live(database: Database): Promise<void> {
  const { db } = database;
  await run(
    db,
    `INSERT INTO users (id, name, credits) VALUES ('hand', 'A', 100), ('poor', 'B', 0), ('other', 'C', 50)`,
  );
  await run(db, `UPDATE users SET credits = 5 WHERE id = 'poor'`);
  await run(db, `UPDATE users SET credits = credits - 3, posted = posted + 1 WHERE id = 'other'`);
  await run(db, `INSERT INTO ledger (id, user_id, kind, amount) VALUES ('charge', 'other', 'charge', -3)`);
  await addKey(database, 'k', 'other', 10);
  await run(db, `UPDATE api_keys SET revoked_at = created_at`);
  await run(db, `INSERT INTO identities (issuer, subject, user_id) VALUES ('i', 's', 'other')`);
  await run(db, `INSERT INTO instances (id, seq) VALUES ('dead', 7)`);
  await run(db, `INSERT INTO leases (user_id, key_id, instance, amount, recall) VALUES ('poor', '', 'dead', 5, '')`);
}

async function assertRestored(t: Test, database: Database): Promise<void> {
  const { db } = database;
  t.same(await auditOf(db), { users: 3, differences: [] });
  const entries = await db.selectFrom('ledger').select(['user_id', 'kind', 'amount']).execute();
  t.same(entries.map(({ user_id, kind, amount }) => `${user_id} ${kind} ${amount}`).sort(), [
    'hand signup 100',
    'other charge -3',
    'other signup 50',
    'poor adjustment 5',
  ]);
  await run(db, `UPDATE users SET credits = credits + 1, posted = 0`);
  await run(db, `UPDATE users SET credits = 5 WHERE id = 'poor'`);
  await t.rejects(run(db, 'DELETE FROM ledger'), /never changed or deleted/);
  t.same(await auditOf(db), { users: 3, differences: [] });
  t.equal((await db.selectFrom('ledger').select('id').execute()).length, 8);
}

/** The lease that the dump has brought along is for sale once its instance was watched standing still, for eight seconds. */
async function assertNoHarm(t: Test, database: Database): Promise<void> {
  const { meter } = await openTestMeter(t, database);
  await until(
    () => callOnce(meter, callerOf('poor'), 5),
    (code) => code === null,
  );
  await meter.close();
  t.same((await auditOf(database.db)).differences, []);
}

async function run(db: Db, statement: string | readonly string[]): Promise<void> {
  for (const text of [statement].flat()) await sql.raw(text).execute(db);
}

interface Dump {
  readonly tables: readonly string[];
  readonly rows: ReadonlyMap<string, string>;
  readonly functions: readonly string[];
  readonly triggers: readonly string[];
}

async function dumpSchema(client: pg.Client, schema: string): Promise<Dump> {
  const list = async (query: string) =>
    (await client.query<{ text: string }>(query, [schema])).rows.map((row) => row.text);
  return {
    tables: await list('SELECT tablename AS text FROM pg_tables WHERE schemaname = $1'),
    rows: await copyAllOut(client),
    functions: await list(
      'SELECT pg_get_functiondef(oid) AS text FROM pg_proc WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)',
    ),
    triggers: await list(
      `SELECT pg_get_triggerdef(t.oid) AS text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE NOT tgisinternal AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)`,
    ),
  };
}

async function copyAllOut(client: pg.Client): Promise<Map<string, string>> {
  const rows = new Map<string, string>();
  // One snapshot for all tables, as pg_dump has it.
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  for (const table of [...usersFirst, 'tollgate_migrations']) rows.set(table, await copyOut(client, table));
  await client.query('COMMIT');
  return rows;
}

/** Puts the dump in the place of what is there, all at once. */
async function restoreSchema(client: pg.Client, schema: string, dump: Dump): Promise<void> {
  await client.query('BEGIN');
  await client.query(`ALTER SCHEMA "${schema}" RENAME TO "${schema}_old"`);
  await client.query(`CREATE SCHEMA "${schema}"`);
  for (const text of dump.functions) await client.query(text);
  for (const table of dump.tables)
    await client.query(`CREATE TABLE ${table} (LIKE "${schema}_old".${table} INCLUDING ALL)`);
  for (const [table, rows] of dump.rows) await copyIn(client, table, rows);
  await client.query(`SELECT setval(pg_get_serial_sequence('changes', 'id'), (SELECT max(id) FROM changes))`);
  for (const text of dump.triggers) await client.query(text);
  await client.query(`DROP SCHEMA "${schema}_old" CASCADE`);
  await client.query('COMMIT');
}

/** An INSERT for each row, as `.dump` writes them. */
async function insertsOf(db: Db, table: string): Promise<string[]> {
  const { rows: columns } = await sql<{ name: string }>`SELECT name FROM pragma_table_info(${table})`.execute(db);
  const values = columns.map(({ name }) => `quote("${name}")`).join(` || ',' || `);
  const { rows } = await sql.raw<{ text: string }>(`SELECT ${values} AS text FROM "${table}"`).execute(db);
  return rows.map(({ text }) => `INSERT INTO "${table}" VALUES (${text})`);
}

/** As `.dump` writes it: tables with their rows, then indexes and triggers. */
async function dumpOf(db: Db): Promise<string[]> {
  const { rows: parts } = await sql<{ type: string; name: string; sql: string }>`
    SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'`.execute(db);
  const tables = parts.filter(({ type }) => type === 'table');
  const rows = [];
  for (const { name } of tables) rows.push(...(await insertsOf(db, name)));
  const rest = parts.filter(({ type }) => type !== 'table');
  return ['PRAGMA foreign_keys = OFF', ...tables.map((part) => part.sql), ...rows, ...rest.map((part) => part.sql)];
}

function openFile(t: Test, path: string): Database {
  const database = openDatabase({ url: `sqlite:${path}`, schema: 'public', poolSize: 1 });
  t.teardown(() => database.close());
  return database;
}
