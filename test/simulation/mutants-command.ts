// `npm run test:mutants`: breaks a copy of the compiled program in one way after another and lets the simulation find it.
// Fails when the simulation does not, when what is to be replaced is not there, or when the whole program is blamed.

import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { startPostgres } from '../../scripts/postgres.ts';
import type { Dialect } from '../helpers/databases.ts';
import { type Mutant, mutants } from './mutants.ts';
import type { SimulationReport } from './simulation.ts';

const { seconds, only, seed } = new Command('npm run test:mutants --')
  .description('Breaks the meter on purpose, and checks that the simulation notices.')
  .option('--seconds <number>', 'how long to look for each', Number, 120)
  .option('--seed <number>', 'the first world', Number, Math.floor(Math.random() * 2 ** 30))
  .option('--only <text>', 'only those whose name contains it', '')
  .parse()
  .opts<{ seconds: number; only: string; seed: number }>();

const outputBytesMax = 64 * 1024 * 1024;

const server = await startPostgres();
const folder = await mkdtemp(join(tmpdir(), 'tollgate-mutants-'));
let failures = 0;
try {
  console.log(`SIM_SEED=${seed}`);
  for (const part of ['src', 'migrations', 'scripts', 'test/simulation', 'test/helpers']) {
    await cp(join('dist', part), join(folder, 'dist', part), { recursive: true });
  }
  await cp('package.json', join(folder, 'package.json'));
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  for (const dialect of ['sqlite', 'postgres'] as const) {
    const { broken, worlds } = await simulate(dialect, seconds / 4);
    const verdict =
      broken === null ? 'keeps every promise' : `breaks ${broken.violations[0]?.message} in world ${broken.seed}`;
    tell(broken === null, `the whole program, ${dialect}`, `${verdict}, ${worlds} worlds`);
  }
  for (const mutant of mutants) if (mutant.name.includes(only)) await judge(mutant);
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
process.exit(failures === 0 ? 0 : 1);

async function judge(mutant: Mutant): Promise<void> {
  const originals = new Map<string, string>();
  try {
    for (const { file, find, replace } of mutant.edits) {
      const path = join(folder, 'dist', 'src', file);
      const text = await readFile(path, 'utf8');
      if (!originals.has(path)) originals.set(path, text);
      const found = text.match(patternOf(find, 'g'))?.length ?? 0;
      if (found !== 1) return tell(false, mutant.name, `${JSON.stringify(find)} is found ${found} times in ${file}`);
      await writeFile(
        path,
        text.replace(patternOf(find), () => replace),
      );
    }
    const { broken, ...report } = await simulate(mutant.dialect, seconds);
    if (broken === null) return tell(false, mutant.name, `not noticed in ${report.worlds} worlds`);
    const how = `${report.worlds} worlds, ${report.counts['steps'] ?? 0} steps, ${report.seconds.toFixed(1)} s`;
    const { promise, message } = broken.violations[0] ?? {};
    tell(true, mutant.name, `${how} (${promise}: ${message?.split('\n')[0]?.slice(0, 120)})`);
  } finally {
    for (const [path, text] of originals) await writeFile(path, text);
  }
}

/** The text, wherever its lines are broken. */
function patternOf(text: string, flags = ''): RegExp {
  const words = text.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(words.join('\\s+'), flags);
}

function simulate(dialect: Dialect, forSeconds: number): Promise<SimulationReport> {
  const command = join(folder, 'dist', 'test', 'simulation', 'command.js');
  const args = [command, '--json', '--seconds', String(forSeconds), '--database', dialect];
  const env = { ...process.env, SIM_SEED: String(seed), TEST_DATABASE_URL: server.url };
  return new Promise((done, fail) => {
    execFile(process.execPath, args, { env, maxBuffer: outputBytesMax }, (error, stdout, stderr) => {
      const line = stdout.trim().split('\n').at(-1) ?? '';
      if (line.startsWith('{')) done(JSON.parse(line) as SimulationReport);
      else fail(error ?? new Error(stderr));
    });
  });
}

function tell(isRight: boolean, name: string, what: string): void {
  if (!isRight) failures += 1;
  console.log(`${isRight ? 'ok    ' : 'NOT OK'} ${name}: ${what}`);
}
