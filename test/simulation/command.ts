// `npm run test:sim`: worlds of the simulation for as long as one likes. SIM_SEED repeats a world.

import { Command, InvalidArgumentError, Option } from 'commander';
import type { Dialect } from '../helpers/databases.ts';
import { runSimulation } from './simulation.ts';

const options = new Command('npm run test:sim --')
  .description(
    'Runs the meter in simulated worlds in which everything fails, and checks every promise after each step.',
  )
  .option('--hours <number>', 'how long, in real time', aboveZero)
  .option('--seconds <number>', 'the same in seconds', aboveZero)
  .option('--worlds <count>', 'at most so many worlds', aboveZero, Number.POSITIVE_INFINITY)
  .addOption(new Option('--database <name>', 'which database').choices(['sqlite', 'postgres']).default('sqlite'))
  .option('--json', 'one line of JSON instead of text')
  .option('--loud', 'print every step')
  .parse()
  .opts<{
    hours?: number;
    seconds?: number;
    worlds: number;
    database: Dialect;
    json?: boolean;
    loud?: boolean;
  }>();

const given = process.env['SIM_SEED'];
const seed = given === undefined || given === '' ? Math.floor(Math.random() * 2 ** 30) : Number(given);
const seconds = options.seconds ?? (options.hours ?? 1 / 60) * 3_600;
if (!options.json) console.log(`${options.database}, SIM_SEED=${seed}`);
const report = await runSimulation({
  dialect: options.database,
  seed,
  seconds,
  worlds: options.worlds,
  isLoud: options.loud === true,
  onProgress: (worlds) => process.stderr.isTTY && process.stderr.write(`\r${worlds} worlds`),
});
if (options.json) console.log(JSON.stringify(report));
else tell();
process.exit(report.broken === null ? 0 : 1);

function tell(): void {
  const { worlds, counts, broken } = report;
  const rate = Math.round((counts['steps'] ?? 0) / report.seconds);
  console.log(`${worlds} worlds in ${report.seconds.toFixed(1)} s, ${rate} steps a second`);
  console.log(
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', '),
  );
  if (broken === null) {
    console.log('every promise was kept');
    return;
  }
  for (const line of broken.trace.slice(-60)) console.error(line);
  for (const { promise, message } of broken.violations) console.error(`broken (${promise}): ${message}`);
  console.error(
    `repeat it with SIM_SEED=${broken.seed} npm run test:sim -- --database ${report.dialect} --worlds 1 --loud`,
  );
}

function aboveZero(text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new InvalidArgumentError('Write a number above 0.');
  return number;
}
