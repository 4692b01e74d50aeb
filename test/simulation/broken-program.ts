// A copy of the compiled program that is broken on purpose, and what a simulation of it sees. The program itself is left
// alone: a copy runs in a process of its own.

import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Dialect } from '../helpers/databases.ts';
import type { Edit, Mutant } from './mutants.ts';
import type { SimulationReport } from './simulation.ts';

/** Where the compiled program is. */
const dist = fileURLToPath(new URL('../../', import.meta.url));
const outputBytesMax = 64 * 1024 * 1024;

export interface Trial {
  readonly dialect: Dialect;
  readonly seed: number;
  readonly seconds: number;
}

export interface ProgramCopy {
  /** Simulates worlds with a mutant's edits in place, or without any. Throws where one cannot be made. */
  simulate(mutant: Mutant | null, trial: Trial): Promise<SimulationReport>;
  remove(): Promise<void>;
}

/** `databaseUrl`: the PostgreSQL of its worlds; without one it starts its own where it needs it. */
export async function copyProgram(databaseUrl?: string): Promise<ProgramCopy> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-mutants-'));
  for (const part of ['src', 'migrations', 'scripts', 'test/simulation', 'test/helpers']) {
    await cp(join(dist, part), join(folder, 'dist', part), { recursive: true });
  }
  await cp(resolve(dist, '..', 'package.json'), join(folder, 'package.json'));
  await symlink(resolve(dist, '..', 'node_modules'), join(folder, 'node_modules'));
  return {
    simulate: async (mutant, trial) => {
      const broken = mutant === null ? new Map<string, string>() : await brokenFiles(mutant);
      for (const [file, text] of broken) await writeFile(join(folder, 'dist', 'src', file), text);
      try {
        return await runWorlds(join(folder, 'dist'), trial, databaseUrl);
      } finally {
        for (const file of broken.keys()) await cp(join(dist, 'src', file), join(folder, 'dist', 'src', file));
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The files that a mutant changes, as it makes them. Throws when what is to be replaced is not there exactly once. */
export async function brokenFiles({ name, edits }: Mutant): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const { file, find, replace } of edits) {
    const text = texts.get(file) ?? (await readFile(join(dist, 'src', file), 'utf8'));
    const found = text.match(patternOf(find, 'g'))?.length ?? 0;
    if (found !== 1) throw new Error(`${name}: ${JSON.stringify(find)} is found ${found} times in ${file}`);
    const broken = text.replace(patternOf(find), () => replace);
    texts.set(file, broken);
  }
  return texts;
}

/** The text, wherever its lines are broken. */
function patternOf(text: Edit['find'], flags = ''): RegExp {
  const words = text.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(words.join('\\s+'), flags);
}

function runWorlds(program: string, { dialect, seed, seconds }: Trial, databaseUrl?: string) {
  const command = join(program, 'test', 'simulation', 'command.js');
  const args = [command, '--json', '--seconds', String(seconds), '--database', dialect];
  const env = {
    ...process.env,
    SIM_SEED: String(seed),
    ...(databaseUrl !== undefined && { TEST_DATABASE_URL: databaseUrl }),
  };
  return new Promise<SimulationReport>((done, fail) => {
    execFile(process.execPath, args, { env, maxBuffer: outputBytesMax }, (error, stdout, stderr) => {
      const line = stdout.trim().split('\n').at(-1) ?? '';
      if (line.startsWith('{')) done(JSON.parse(line) as SimulationReport);
      else fail(error ?? new Error(stderr));
    });
  });
}
