// Opens the database for an operator's command, and closes it after. Only a command that brings in users creates the
// tables when they are missing: anywhere else a wrong working directory would leave an empty database behind.

import { statSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Booking } from '../store/credits.ts';
import type { Database, Db } from '../store/database.ts';
import type { Context } from './command.ts';
import { Failure } from './failure.ts';
import { openLog } from './output.ts';

/** What an operator's command works with. */
export interface Store {
  readonly db: Db;
  readonly config: Config;
  readonly log: Logger;
  /** For the ledger: `cli:` and the name of the user at the operating system. */
  readonly actor: string;
}

/** Runs `work` on a database that has all its tables. */
export function withStore<T>(context: Context, work: (store: Store) => Promise<T>): Promise<T> {
  return withDatabase(context, (database, config) => workOn(context, database, config, work));
}

/** Likewise for a command that brings in users: it may be the first, and creates the tables as `start` would. */
export function withNewStore<T>(context: Context, work: (store: Store) => Promise<T>): Promise<T> {
  const migrated = async (database: Database, config: Config) => {
    const { migrateUp } = await import('../store/migrate.ts');
    if (config.database.migrate) await migrateUp(database);
    return workOn(context, database, config, work);
  };
  return withDatabase(context, migrated, (config) => config.database.migrate);
}

async function workOn<T>(
  context: Context,
  database: Database,
  config: Config,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const { migrationStatus } = await import('../store/migrate.ts');
  const isBehind = (await migrationStatus(database)).some(({ appliedAt }) => appliedAt === null);
  if (isBehind) throw notMigrated('The database does not have all its tables yet');
  return work({ db: database.db, config, log: await openLog(context.output, config.log.format), actor: actorName() });
}

/** Runs `work` on the database as it is. An SQLite file that is not there is created only if `mayCreate` allows it. */
export async function withDatabase<T>(
  context: Context,
  work: (database: Database, config: Config) => Promise<T>,
  mayCreate: (config: Config) => boolean = () => false,
): Promise<T> {
  const { loadConfig } = await import('../config/config.ts');
  const { openDatabase } = await import('../store/database.ts');
  const config = loadConfig({ file: context.configFile, env: context.env });
  const { url } = config.database;
  if (!mayCreate(config) && url.startsWith('sqlite:') && isMissing(url.slice('sqlite:'.length))) {
    throw notMigrated(`There is no database at ${url}`);
  }
  const database = openDatabase(config.database);
  try {
    return await work(database, config);
  } finally {
    await database.close();
  }
}

/** Whether nothing is there. What may not be looked at is left to opening it, which says why. */
function isMissing(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

function notMigrated(what: string): Failure {
  return new Failure('NOT_MIGRATED', `${what}. Run "tollgate migrate up" first.`);
}

function actorName(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    // In a container the user may have a number and no name.
    return `cli:${process.getuid?.() ?? 'unknown'}`;
  }
}

/** The line in the log that every credit operation leaves. */
export function logBooking(log: Logger, actor: string, booking: Booking): void {
  const { userId: user, kind, amount, balance, entryId: entry } = booking;
  log.info({ user, kind, amount, balance, entry, actor }, kind);
}
