// A bare @fastify/http-proxy as a subject of the proxy suite: in a process of its own, so that its death is seen and ends
// nothing else.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Subject, SubjectOptions } from '../subject.ts';

const program = fileURLToPath(new URL('../../../scripts/bench/bare-proxy.js', import.meta.url));

/** The process ended by itself. */
export class ProxyDied extends Error {}

/** Starts it in front of the upstream. `close` rejects with `ProxyDied` when it has ended before that. */
export async function openBare(upstreamUrl: string, { upgrades = false }: SubjectOptions): Promise<Subject> {
  // What it says while it dies would stand in the middle of the table.
  const child = fork(program, [upstreamUrl, upgrades ? 'websocket' : ''], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const address = await ask(child);
  return {
    port: Number(new URL(address).port),
    credential: [],
    close: async () => {
      try {
        await ask(child);
      } finally {
        child.kill('SIGKILL');
      }
    },
  };
}

/** Asks for its address, and so whether it is alive. */
async function ask(child: ChildProcess): Promise<string> {
  const exited = new AbortController();
  const onExit = () => exited.abort();
  child.once('exit', onExit);
  try {
    if (child.exitCode !== null || child.signalCode !== null || !child.connected) throw new ProxyDied();
    const answer = once(child, 'message', { signal: exited.signal });
    child.send('address', () => {});
    return String((await answer)[0]);
  } catch (cause) {
    throw new ProxyDied('its process died', { cause });
  } finally {
    child.off('exit', onExit);
  }
}
