// Where a run takes place: a schema of its own in somebody's PostgreSQL, or an SQLite file in a temporary folder; with
// all tables, and gone afterwards. Nothing outside of it is read or written.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase } from '../../store/database.ts';
import { migrateUp } from '../../store/migrate.ts';
import { createEditNotes, createSchema, dropSchema } from '../../store/proof.ts';

export interface Place {
  readonly dialect: 'postgres' | 'sqlite';
  readonly url: string;
  readonly schema: string;
  /** In words, for people. */
  readonly name: string;
  /** Straight to the database, past all that is broken on purpose. */
  readonly database: Database;
  /** Temporary, for configurations and data folders. */
  readonly folder: string;
  /** Where connections to the database may be led through a proxy, its target; else null. */
  readonly wire: { readonly host: string; readonly port: number } | null;
  remove(): Promise<void>;
}

const poolSize = 6;

/** Makes it. Throws what the database says, with nothing left behind. */
export async function makePlace(databaseUrl: string): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-verify-'));
  const isSqlite = databaseUrl.startsWith('sqlite:');
  const url = isSqlite ? `sqlite:${join(folder, 'verify.db')}` : databaseUrl;
  const schema = isSqlite ? 'public' : `tollgate_verify_${randomBytes(5).toString('hex')}`;
  const database = openDatabase({ url, schema, poolSize });
  const remove = async () => {
    await dropSchema(database).finally(() => database.close());
    await rm(folder, { recursive: true, force: true });
  };
  const dialect = isSqlite ? 'sqlite' : 'postgres';
  const name = isSqlite ? 'SQLite, in a temporary file' : `PostgreSQL, in the schema ${schema}`;
  try {
    await createSchema(database);
    await migrateUp(database);
    await createEditNotes(database.db);
  } catch (error) {
    await remove().catch(() => {});
    throw error;
  }
  return { dialect, url, schema, name, database, folder, wire: isSqlite ? null : wireOf(url), remove };
}

/** The same address by way of a proxy on this machine. */
export function urlThrough(url: string, port: number): string {
  return Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) }).href;
}

/** A name that TLS vouches for, or a socket in the file system, cannot be led through a proxy. */
function wireOf(url: string): Place['wire'] {
  const { hostname, port, searchParams } = new URL(url);
  const mode = searchParams.get('sslmode') ?? 'disable';
  const isVouchedFor = searchParams.has('ssl') || (mode !== 'disable' && mode !== 'no-verify');
  if (hostname === '' || searchParams.has('host') || isVouchedFor) return null;
  return { host: decodeURIComponent(hostname).replace(/^\[(.*)\]$/, '$1'), port: Number(port || 5432) };
}
