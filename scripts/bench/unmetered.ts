// The rows without a meter: nothing between load and upstream, or a proxy that only forwards.

import { startProgram } from './programs.ts';
import type { Start } from './row.ts';

/** Straight to the upstream. */
export async function direct(): Promise<Start> {
  return async ({ upstream }) => ({ url: upstream, credentials: [], pid: null, stop: async () => null });
}

/** For a row: through a proxy of this script, which tells its URL when it is asked. */
export function proxy(script: string): () => Promise<Start> {
  return async () =>
    async ({ upstream, core }) => {
      const program = startProgram(script, [upstream], { core });
      const url = String(await program.ask('url'));
      return { url, credentials: [], pid: program.pid, stop: () => program.stop().then(() => null) };
    };
}
