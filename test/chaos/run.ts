// The chaos: the proof that ships (src/verify/) on a PostgreSQL of its own, which is stopped and killed as well.

import { startPostgres } from '../../scripts/postgres.ts';
import { type Report, type VerifyOptions, verify } from '../../src/verify/verify.ts';
import { noteCredential } from '../helpers/evidence.ts';

/** Runs it. Null when it was ended early. */
export async function runChaos(options: Omit<VerifyOptions, 'databaseUrl' | 'server'>): Promise<Report | null> {
  const server = await startPostgres();
  noteCredential(new URL(server.url).password);
  const stop = () => server.halt('SIGINT');
  const kill = () => server.halt('SIGKILL');
  try {
    return await verify({ ...options, databaseUrl: server.url, server: { stop, kill, start: server.resume } });
  } finally {
    await server.stop();
  }
}
