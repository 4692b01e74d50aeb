// `npm run test:mutants`: breaks a copy of the compiled program in one way after another and lets the simulation find it.
// Fails when the simulation does not, when what is to be replaced is not there, or when the whole program is blamed.

import { Command } from 'commander';
import { startPostgres } from '../../scripts/postgres.ts';
import { brokenFiles, copyProgram, type ProgramCopy } from './broken-program.ts';
import { type Mutant, mutants } from './mutants.ts';

const { seconds, only, seed } = new Command('npm run test:mutants --')
  .description('Breaks the meter on purpose, and checks that the simulation notices.')
  .option('--seconds <number>', 'how long to look for each', Number, 120)
  .option('--seed <number>', 'the first world', Number, Math.floor(Math.random() * 2 ** 30))
  .option('--only <text>', 'only those whose name contains it', '')
  .parse()
  .opts<{ seconds: number; only: string; seed: number }>();

const chosen = mutants.filter(({ name }) => name.includes(only));
for (const mutant of chosen) await brokenFiles(mutant);
const server = await startPostgres();
const program = await copyProgram(server.url);
let failures = chosen.length === 0 ? 1 : 0;
try {
  console.log(`SIM_SEED=${seed}, ${chosen.length} mutants`);
  for (const dialect of ['sqlite', 'postgres'] as const) {
    const { broken, worlds } = await program.simulate(null, { dialect, seed, seconds: seconds / 4 });
    const verdict =
      broken === null ? 'keeps every promise' : `breaks ${broken.violations[0]?.message} in world ${broken.seed}`;
    tell(broken === null, `the whole program, ${dialect}`, `${verdict}, ${worlds} worlds`);
  }
  for (const mutant of chosen) await judge(program, mutant);
} finally {
  await server.stop();
  await program.remove();
}
process.exit(failures === 0 ? 0 : 1);

async function judge(program: ProgramCopy, mutant: Mutant): Promise<void> {
  const { broken, ...report } = await program.simulate(mutant, { dialect: mutant.dialect, seed, seconds });
  if (broken === null) return tell(false, mutant.name, `not noticed in ${report.worlds} worlds`);
  const how = `${report.worlds} worlds, ${report.counts['steps'] ?? 0} steps, ${report.seconds.toFixed(1)} s`;
  const { promise, message } = broken.violations[0] ?? {};
  tell(true, mutant.name, `${how} (${promise}: ${message?.split('\n')[0]?.slice(0, 120)})`);
}

function tell(isRight: boolean, name: string, what: string): void {
  if (!isRight) failures += 1;
  console.log(`${isRight ? 'ok    ' : 'NOT OK'} ${name}: ${what}`);
}
