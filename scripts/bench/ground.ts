// What the rows stand on, made when the first asks and gone with the bench: folders, databases, servers.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type PostgresServer, startPostgres } from '../postgres.ts';

export class Ground {
  readonly #closers: (() => Promise<void> | void)[] = [];
  #shared: Promise<PostgresServer> | null = null;

  /** An empty folder. */
  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'tollgate-bench-'));
    this.whenClosed(() => rm(folder, { recursive: true, force: true }));
    return folder;
  }

  /** The URL of an empty database of the PostgreSQL that all rows share. */
  async database(): Promise<string> {
    this.#shared ??= this.server();
    const { url } = await this.#shared;
    const name = `bench_${randomBytes(6).toString('hex')}`;
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(`CREATE DATABASE ${name}`);
    await client.end();
    return Object.assign(new URL(url), { pathname: `/${name}` }).href;
  }

  /** A PostgreSQL of one's own. It waits for the disk, as SQLite does and as everybody's does whose charges matter. */
  async server(): Promise<PostgresServer> {
    const server = await startPostgres({ fsync: true });
    this.whenClosed(server.stop);
    return server;
  }

  /** What was opened last is closed first. */
  whenClosed(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}
