// `npm run bench`: what Tollgate costs, beside a bare @fastify/http-proxy, the naive way to meter, and nothing at all. Load,
// upstream and the process measured are processes of their own; rounds are interleaved, so that a slow minute of the machine
// is everybody's. It asserts no speed. It fails when an answer was not 2xx, or a charge is missing or too many.

import { Command, InvalidArgumentError } from 'commander';
import { integerFrom, numberFrom } from './bench/options.ts';
import { wrongBooks } from './bench/report.ts';
import type { Row } from './bench/row.ts';
import { rows } from './bench/rows.ts';
import { type Part, type Plan, runBench } from './bench/run.ts';
import { renderReport } from './bench/table.ts';

const known = Object.keys(rows).join(',');
const parts: readonly Part[] = ['half', 'wire'];

const { json, ...plan } = new Command('bench')
  .description('Measures direct calls, a bare @fastify/http-proxy, Tollgate and the naive way to meter, in turns.')
  .option('--rounds <n>', 'how often each row is measured', integerFrom(1, 100), 3)
  .option('--seconds <n>', 'how long each time', numberFrom(0.1, 600), 5)
  .option('--connections <n>', 'how many the load keeps busy', integerFrom(1, 1000), 50)
  .option('--rows <names>', 'which rows, separated by commas', rowsOf, rowsOf(known))
  .option(
    '--parts <names>',
    'what else: half (latency at half load), wire (database traffic), none',
    partsOf,
    new Set(parts),
  )
  .option('--json', 'print one JSON document', false)
  .parse()
  .opts<Plan & { json: boolean }>();

const report = await runBench(plan, (line) => console.error(line));
console.log(json ? JSON.stringify(report, null, 2) : renderReport(report));
const wrong = wrongBooks(report);
for (const { title, charged, answered } of wrong) {
  console.error(`${title} charged ${charged} calls, and the upstream answered ${answered}.`);
}
process.exit(wrong.length === 0 ? 0 : 1);

function rowsOf(names: string): Map<string, Row> {
  return new Map(
    names.split(',').map((name) => {
      const row = rows[name];
      if (row === undefined) throw new InvalidArgumentError(`The rows are ${known}.`);
      return [name, row];
    }),
  );
}

function partsOf(names: string): Set<Part> {
  if (names === 'none') return new Set();
  return new Set(
    names.split(',').map((name) => {
      const part = parts.find((each) => each === name);
      if (part === undefined) throw new InvalidArgumentError(`The parts are ${parts.join(',')}, or none.`);
      return part;
    }),
  );
}
