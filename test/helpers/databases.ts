// Real databases for tests: a fresh SQLite file or a fresh database of a real PostgreSQL. TEST_DATABASE_URL names the
// server (`npm test` starts one and sets it); without it, the first test of a process that asks starts one of its own.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Test } from 'tap';
import { startPostgres } from '../../scripts/postgres.ts';
import { type Database, type DatabaseOptions, openDatabase } from '../../src/store/database.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { noteCredentialIn } from './evidence.ts';

export type Dialect = 'sqlite' | 'postgres';
export const dialects: readonly Dialect[] = ['sqlite', 'postgres'];

/** In the order in which they are applied. */
export const everyMigration = [
  '0001_the_books',
  '0002_identities',
  '0003_sessions',
  '0004_by_hand',
  '0005_audit',
  '0006_asked_leases',
  '0007_claims',
  '0008_rollups',
  '0009_endings',
];

export interface TestDatabase {
  readonly url: string;
  readonly schema: string;
  readonly database: Database;
}

let ownDatabase: Promise<string> | null = null;

/**
 * The URL of a database of this process, made when the first test asks. One for each process, with a schema for each
 * test: Kysely's migrator looks at all schemas, and fails when another process drops one while it looks.
 */
async function postgresUrl(t: Test): Promise<string> {
  ownDatabase ??= openOwnDatabase(rootOf(t));
  noteCredentialIn(new URL(await ownDatabase).password);
  return ownDatabase;
}

async function openOwnDatabase(root: Test): Promise<string> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given === undefined || given === '') {
    const server = await startPostgres();
    root.teardown(() => server.stop());
    return server.url;
  }
  const name = `test_${randomBytes(8).toString('hex')}`;
  await runOnce(given, `CREATE DATABASE ${name} TEMPLATE template0`);
  root.teardown(() => runOnce(given, `DROP DATABASE ${name} WITH (FORCE)`));
  return Object.assign(new URL(given), { pathname: `/${name}` }).href;
}

function rootOf(t: Test): Test {
  let root = t;
  while (root.parent !== undefined) root = root.parent as Test;
  return root;
}

/** Opens an empty database of the dialect, removed at the end of the test. */
export async function emptyDatabase(t: Test, dialect: Dialect): Promise<TestDatabase> {
  return dialect === 'sqlite' ? emptySqlite(t) : emptyPostgres(t);
}

/** Opens a database with all migrations applied. */
export async function migratedDatabase(t: Test, dialect: Dialect): Promise<TestDatabase> {
  const test = await emptyDatabase(t, dialect);
  await migrateUp(test.database);
  return test;
}

/** A second, independent connection to the same database, as another process would have. */
export function openAgain(
  t: Test,
  { url, schema }: TestDatabase,
  limits: Pick<DatabaseOptions, 'statementTimeoutMs'> = {},
): Database {
  const database = openDatabase({ url, schema, poolSize: 5, ...limits });
  t.teardown(() => database.close());
  return database;
}

/** A temporary folder that goes with the test. */
export async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function emptySqlite(t: Test): Promise<TestDatabase> {
  const url = `sqlite:${join(await temporaryFolder(t), 'tollgate.db')}`;
  const schema = 'public';
  const database = openDatabase({ url, schema, poolSize: 1 });
  t.teardown(() => database.close());
  return { url, schema, database };
}

async function emptyPostgres(t: Test): Promise<TestDatabase> {
  const url = await postgresUrl(t);
  const schema = `test_${randomBytes(8).toString('hex')}`;
  await runOnce(url, `CREATE SCHEMA ${schema}`);
  const database = openDatabase({ url, schema, poolSize: 5 });
  t.teardown(() => database.close());
  return { url, schema, database };
}

async function runOnce(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(statement);
  await client.end();
}
