// Brings the tables up and down. Kysely's migrator keeps the list of what was applied; this file adds what it lacks:
// a lock on SQLite, so that several instances can start at once, and the refusal to touch a stranger's `users` table.

import { setTimeout } from 'node:timers/promises';
import { type Kysely, type Migration, type MigrationResultSet, Migrator, sql } from 'kysely';
import * as theBooks from '../../migrations/0001_the_books.ts';
import * as identities from '../../migrations/0002_identities.ts';
import * as sessions from '../../migrations/0003_sessions.ts';
import * as byHand from '../../migrations/0004_by_hand.ts';
import * as audit from '../../migrations/0005_audit.ts';
import * as askedLeases from '../../migrations/0006_asked_leases.ts';
import * as claims from '../../migrations/0007_claims.ts';
import * as rollups from '../../migrations/0008_rollups.ts';
import * as endings from '../../migrations/0009_endings.ts';
import { type Database, type Db, isPostgres } from './database.ts';
import { MigrationError } from './migration-error.ts';

const migrations: Record<string, Migration & { drops: string[] }> = {
  '0001_the_books': theBooks,
  '0002_identities': identities,
  '0003_sessions': sessions,
  '0004_by_hand': byHand,
  '0005_audit': audit,
  '0006_asked_leases': askedLeases,
  '0007_claims': claims,
  '0008_rollups': rollups,
  // After the tables that take long to fill: the ledger is locked from then on until all is done.
  '0009_endings': endings,
};

/** The pause between two questions whether the database still answers. */
const pauseMs = 1_000;

const appliedTable = 'tollgate_migrations';

export interface MigrationState {
  name: string;
  /** RFC 3339, or null while it is not applied. */
  appliedAt: string | null;
}

/** Applies what is missing and returns the names applied now. Safe when several instances start at once. */
export function migrateUp(database: Database): Promise<string[]> {
  return underLock(database, async (migrator, db) => {
    await refuseForeignTables(db);
    return namesOf(await migrator.migrateToLatest());
  });
}

/**
 * Likewise, with statements on `patient` that may take as long as they like: while they do, `impatient`, which has a limit for
 * each of its own, is asked again and again whether the database is still there. Rejects as the driver does when that is not
 * answered; what is under way on `patient` ends with it then, so close it.
 */
export async function migrateWhileAnswered(patient: Database, impatient: Database): Promise<void> {
  let isOver = false;
  const migrating = migrateUp(patient).finally(() => {
    isOver = true;
  });
  const watch = async () => {
    while (!isOver) {
      await setTimeout(pauseMs, undefined, { ref: false });
      if (!isOver) await sql`SELECT 1`.execute(impatient.db);
    }
  };
  await Promise.race([migrating, watch().then(() => migrating)]);
}

/** Reverts the latest migration and returns its name in a list, empty when none was applied. */
export function migrateDown(database: Database): Promise<string[]> {
  return underLock(database, async (migrator) => namesOf(await migrator.migrateDown()));
}

/** The tables that `migrateDown` would drop, with all their rows. */
export async function tablesThatDownDrops(database: Database): Promise<string[]> {
  const applied = (await migrationStatus(database)).filter((migration) => migration.appliedAt !== null).at(-1);
  return applied === undefined ? [] : (migrations[applied.name]?.drops ?? []);
}

/** Every known migration in order, applied or not. Reads only. */
export async function migrationStatus(database: Database): Promise<MigrationState[]> {
  const applied = await appliedMigrations(database.db);
  return Object.keys(migrations).map((name) => ({ name, appliedAt: applied.get(name) ?? null }));
}

async function appliedMigrations(db: Db): Promise<Map<string, string>> {
  if (!(await hasTable(db, appliedTable))) return new Map();
  const { rows } = await sql<{ name: string; timestamp: string }>`
    SELECT name, timestamp FROM ${sql.table(appliedTable)}`.execute(db);
  return new Map(rows.map(({ name, timestamp }) => [name, timestamp]));
}

/**
 * On PostgreSQL the migrator takes an advisory lock and a transaction of its own. On SQLite it takes neither and cannot
 * run inside a Kysely transaction, so one IMMEDIATE transaction by hand around the whole run does both.
 */
async function underLock<T>(database: Database, work: (migrator: Migrator, db: Db) => Promise<T>): Promise<T> {
  const { db, schema } = database;
  if (isPostgres(db)) return work(migratorFor(db, { migrationTableSchema: schema }), db);
  return db.connection().execute(async (connection) => {
    await sql`BEGIN IMMEDIATE`.execute(connection);
    try {
      const result = await work(migratorFor(connection, { disableTransactions: true }), connection);
      await sql`COMMIT`.execute(connection);
      return result;
    } catch (error) {
      await sql`ROLLBACK`.execute(connection);
      throw error;
    }
  });
}

function migratorFor(db: Db, options: { migrationTableSchema?: string; disableTransactions?: boolean }): Migrator {
  return new Migrator({
    db: db as unknown as Kysely<unknown>,
    provider: { getMigrations: async () => migrations },
    migrationTableName: appliedTable,
    migrationLockTableName: `${appliedTable}_lock`,
    ...options,
  });
}

function namesOf({ error, results = [] }: MigrationResultSet): string[] {
  if (error !== undefined) throw error;
  return results.filter((result) => result.status === 'Success').map((result) => result.migrationName);
}

/** A `users` table that no migration of ours made belongs to another program: adding to it could destroy its data. */
async function refuseForeignTables(db: Db): Promise<void> {
  if ((await appliedMigrations(db)).size > 0) return;
  for (const { drops } of Object.values(migrations)) {
    for (const table of drops) {
      if (!(await hasTable(db, table))) continue;
      throw new MigrationError(
        `The database already has a table "${table}" that Tollgate did not make. Give Tollgate a place of its own: ` +
          'set database.schema (PostgreSQL) to a new name, or database.url (SQLite) to a new file.',
      );
    }
  }
}

async function hasTable(db: Db, name: string): Promise<boolean> {
  const query = isPostgres(db)
    ? sql`SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = ${name}`
    : sql`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ${name}`;
  return (await query.execute(db)).rows.length > 0;
}
