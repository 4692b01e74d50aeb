// `npm run bench:growth`: whether Tollgate stays as fast while users, ledger and instances grow. It asserts no speed. It
// fails when an answer was not 2xx, a charge is missing or too many, or the audit finds a balance that is not its ledger's.

import { Command, Option } from 'commander';
import { type GrowthPlan, runGrowth } from './bench/growth/growth.ts';
import { renderGrowth } from './bench/growth/growth-table.ts';
import { integerFrom, numberFrom } from './bench/options.ts';

const { json, maxRows, ...plan } = new Command('bench:growth')
  .description('Measures Tollgate on databases from empty to large, in turns.')
  .option('--max-users <n>', 'how many users there are at most', integerFrom(1, 3_000_000), 1_000_000)
  .option('--max-rows <n>', 'how many charges the ledger holds at most', integerFrom(0, 100_000_000), 10_000_000)
  .option('--max-instances <n>', 'how many gateways share the database at most', integerFrom(1, 16), 4)
  .option('--callers <n>', 'how many of the users call', integerFrom(1, 100_000), 100)
  .option('--rounds <n>', 'how often each step is measured', integerFrom(1, 100), 3)
  .option('--seconds <n>', 'how long each time', numberFrom(0.1, 600), 5)
  .option('--connections <n>', 'how many the load keeps busy', integerFrom(1, 1000), 50)
  .addOption(new Option('--store <name>', 'the database').choices(['postgres', 'sqlite']).default('postgres'))
  .option('--json', 'print one JSON document', false)
  .parse()
  .opts<Omit<GrowthPlan, 'maxCharges'> & { json: boolean; maxRows: number }>();

const report = await runGrowth({ ...plan, maxCharges: maxRows }, (line) => console.error(line));
console.log(json ? JSON.stringify(report, null, 2) : renderGrowth(report));
const wrong = report.steps.filter(({ charged, answered }) => charged !== answered);
for (const { users, charges, charged, answered } of wrong) {
  console.error(`With ${users} users and ${charges} charges, ${charged} of ${answered} calls were charged.`);
}
process.exit(wrong.length === 0 ? 0 : 1);
