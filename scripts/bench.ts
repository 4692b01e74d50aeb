// `npm run bench`: what Tollgate costs, beside a bare @fastify/http-proxy and nothing at all. Load, upstream and the
// process measured are processes of their own; rounds are interleaved, so that a slow minute of the machine is
// everybody's. It asserts no speed. It fails when an answer was not 2xx, or a charge is missing or too many.

import { Command, InvalidArgumentError } from 'commander';
import { wrongBooks } from './bench/report.ts';
import type { Row } from './bench/row.ts';
import { rows } from './bench/rows.ts';
import { type Plan, runBench } from './bench/run.ts';
import { renderTable } from './bench/table.ts';

const known = Object.keys(rows).join(',');

const { json, ...plan } = new Command('bench')
  .description('Measures direct calls, a bare @fastify/http-proxy and Tollgate, in turns.')
  .option('--rounds <n>', 'how often each row is measured', integerUpTo(100), 3)
  .option('--seconds <n>', 'how long each time', integerUpTo(600), 5)
  .option('--connections <n>', 'how many the load keeps busy', integerUpTo(1000), 50)
  .option('--rows <names>', 'which rows, separated by commas', rowsOf, rowsOf(known))
  .option('--json', 'print one JSON document', false)
  .parse()
  .opts<Plan & { json: boolean }>();

const report = await runBench(plan, (line) => console.error(line));
console.log(json ? JSON.stringify(report, null, 2) : renderTable(report));
const wrong = wrongBooks(report);
for (const { title, charged, answered } of wrong) {
  console.error(`${title} charged ${charged} calls, and the upstream answered ${answered}.`);
}
process.exit(wrong.length === 0 ? 0 : 1);

function integerUpTo(max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^[1-9]\d*$/.test(text) && number <= max) return number;
    throw new InvalidArgumentError(`It takes a whole number from 1 to ${max}.`);
  };
}

function rowsOf(names: string): Map<string, Row> {
  return new Map(
    names.split(',').map((name) => {
      const row = rows[name];
      if (row === undefined) throw new InvalidArgumentError(`The rows are ${known}.`);
      return [name, row];
    }),
  );
}
