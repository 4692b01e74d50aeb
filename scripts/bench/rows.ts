// The rows of the table: what may stand between the load and the upstream.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../postgres.ts';
import { startIssuer } from './issuer.ts';
import { startProgram } from './programs.ts';
import type { OpenRow, Row, Setting, Subject } from './row.ts';
import { type Access, startTollgate } from './tollgate.ts';

/** By the names that `--rows` takes, in the order of the table. */
export const rows: Readonly<Record<string, Row>> = {
  direct: { title: 'direct', open: async () => ({ start: startDirect, close: async () => {} }) },
  bare: { title: 'bare @fastify/http-proxy', open: async () => ({ start: startBare, close: async () => {} }) },
  sqlite: { title: 'Tollgate on SQLite', open: () => openSqliteRow() },
  postgres: { title: 'Tollgate on PostgreSQL', open: openPostgresRow },
  token: { title: 'Tollgate on SQLite, JWT', open: openTokenRow },
  public: { title: 'Tollgate on SQLite, public', open: () => openSqliteRow({ isPublic: true }) },
};

async function startDirect({ upstream }: Setting): Promise<Subject> {
  return { url: upstream, headers: {}, pid: null, stop: async () => null };
}

async function startBare({ upstream, core }: Setting): Promise<Subject> {
  const program = startProgram('./bare-proxy.js', [upstream], { core });
  const url = String(await program.ask('url'));
  return { url, headers: {}, pid: program.pid, stop: () => program.stop().then(() => null) };
}

async function openSqliteRow(access: Access = {}): Promise<OpenRow> {
  const folder = await temporaryFolder();
  return {
    start: (setting) => startTollgate(`sqlite:${join(folder, 'tollgate.db')}`, folder, setting, access),
    close: () => remove(folder),
  };
}

async function openTokenRow(): Promise<OpenRow> {
  const issuer = await startIssuer();
  const row = await openSqliteRow({ issuer });
  return {
    start: row.start,
    close: async () => {
      await row.close();
      issuer.close();
    },
  };
}

async function openPostgresRow(): Promise<OpenRow> {
  const folder = await temporaryFolder();
  // It waits for the disk, as SQLite does and as everybody's does whose charges matter.
  const server = await startPostgres({ fsync: true });
  return {
    start: (setting) => startTollgate(server.url, folder, setting),
    close: async () => {
      await server.stop();
      await remove(folder);
    },
  };
}

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'tollgate-bench-'));
}

function remove(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}
