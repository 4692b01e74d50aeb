// How long it takes until something runs: the command line, a gateway on either database, and what they are compared with.
// The databases have their tables already: a first start is a migration more.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startGateway } from '../gateway.ts';
import { Ground } from '../ground.ts';
import { cpuTimeMicros, residentBytes } from '../machine.ts';
import { type Program, startProgram } from '../programs.ts';
import type { StartMeasurement } from './starts-report.ts';

/** How often a gateway is asked whether it is ready: what it takes is known to that. */
const lookEveryMs = 2;
/** After this a process that serves nobody counts as idle. */
const idleAfterMs = 1_000;
/** Nobody listens there, and nobody is called. */
const upstream = 'http://127.0.0.1:9';

type Start = () => Promise<Omit<StartMeasurement, 'row' | 'round'>>;

/** Measures every row in every round, in turns; `progress` hears of each round. */
export async function measureStarts(rounds: number, progress: (line: string) => void): Promise<StartMeasurement[]> {
  const ground = new Ground();
  try {
    const cli = fileURLToPath(new URL('../../../src/cli.js', import.meta.url));
    const starts: Readonly<Record<StartMeasurement['row'], Start>> = {
      node: () => runToEnd(['-e', '0']),
      bare: startBare,
      help: () => runToEnd([cli, '--help']),
      sqlite: await gatewayOn(ground, `sqlite:${await ground.folder()}/books.db`),
      postgres: await gatewayOn(ground, await ground.database()),
    };
    const measurements: StartMeasurement[] = [];
    for (let round = 1; round <= rounds; round++) {
      for (const [row, start] of Object.entries(starts)) {
        measurements.push({ row: row as StartMeasurement['row'], round, ...(await start()) });
      }
      progress(`round ${round} of ${rounds}`);
    }
    return measurements;
  } finally {
    await ground.close();
  }
}

async function runToEnd(args: readonly string[]): ReturnType<Start> {
  const beginMs = performance.now();
  const [code] = await once(spawn(process.execPath, args, { stdio: 'ignore' }), 'exit');
  const ms = performance.now() - beginMs;
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${code}`);
  return { ms, cpuMicros: null, idleBytes: null };
}

async function startBare(): ReturnType<Start> {
  const beginMs = performance.now();
  const program = startProgram('./bare-proxy.js', [upstream]);
  await program.ask('url');
  return stopIdle(program, performance.now() - beginMs);
}

/** Makes the tables by a first start, which is not measured. */
async function gatewayOn(ground: Ground, database: string): Promise<Start> {
  const folder = await ground.folder();
  const start: Start = async () => {
    const { program, readyMs } = await startGateway({ database, folder, upstream, core: null, lookEveryMs });
    return stopIdle(program, readyMs);
  };
  await start();
  return start;
}

/** Of a program that was ready a moment ago. */
async function stopIdle(program: Program, ms: number): ReturnType<Start> {
  const cpuMicros = cpuTimeMicros(program.pid);
  await setTimeout(idleAfterMs);
  const idleBytes = residentBytes(program.pid);
  await program.stop();
  return { ms, cpuMicros, idleBytes };
}
