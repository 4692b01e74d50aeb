// `npm run bench:soak -- --minutes 30`: whether a gateway stays as it is under half of its load, with many users, callers
// that leave and an upstream that fails. It fails when memory was not flat, a hold was left, or the books are wrong.

import { Command, Option } from 'commander';
import { integerFrom, numberFrom } from './bench/options.ts';
import { faultsOf, runSoak, type SoakPlan } from './bench/soak/soak.ts';
import { renderMinute, renderSoak } from './bench/soak/soak-text.ts';

const { json, ...plan } = new Command('bench:soak')
  .description('Keeps Tollgate busy for a long time, and watches its memory, its event loop and its books.')
  .option('--minutes <n>', 'how long', numberFrom(0.01, 10_000), 30)
  .option('--users <n>', 'how many call', integerFrom(1, 1_000_000), 100_000)
  .option('--connections <n>', 'how many they share', integerFrom(1, 1000), 50)
  .addOption(
    new Option('--rate <n>', 'calls a second (default: half of what the gateway can do)')
      .argParser(integerFrom(1, 1_000_000))
      .default(null),
  )
  .addOption(new Option('--store <name>', 'the database').choices(['postgres', 'sqlite']).default('postgres'))
  .option('--json', 'print one JSON document', false)
  .parse()
  .opts<SoakPlan & { json: boolean }>();

const report = await runSoak(plan, (minute) => console.error(renderMinute(minute)));
console.log(json ? JSON.stringify(report, null, 2) : renderSoak(report));
const faults = faultsOf(report);
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
