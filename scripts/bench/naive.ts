// The rows of the naive way: check by SQL, forward, deduct by SQL, for each call. On the same tables as Tollgate, so that
// the books of both are read in the same way.

import { addCallers, assertBalanced, chargesSince, withDatabase } from './callers.ts';
import type { Ground } from './ground.ts';
import { startProgram } from './programs.ts';
import type { Start } from './row.ts';

/** For a row: with so many users that call. */
export function naive({ callers }: { readonly callers: number }): (ground: Ground) => Promise<Start> {
  return async (ground) => {
    const database = await ground.database();
    const credentials = await addCallers(database, callers);
    return async ({ upstream, core }) => {
      const sinceMs = Date.now();
      const program = startProgram('./naive-proxy.js', [upstream, database], { core });
      const url = String(await program.ask('url'));
      const stop = async () => {
        await program.stop();
        return withDatabase(database, async ({ db }) => {
          await assertBalanced(db);
          return chargesSince(db, sinceMs);
        });
      };
      return { url, credentials, pid: program.pid, stop };
    };
  };
}
