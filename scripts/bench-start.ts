// `npm run bench:start`: how long Tollgate takes to start, beside an empty Node.js and a bare @fastify/http-proxy, and what it
// takes of the memory then. Rounds are interleaved, so that a slow minute of the machine is everybody's. It asserts no speed.

import { Command } from 'commander';
import { describeMachine } from './bench/machine.ts';
import { integerFrom } from './bench/options.ts';
import { measureStarts } from './bench/starts/starts.ts';
import { renderStarts, reportStarts } from './bench/starts/starts-report.ts';

const { json, rounds } = new Command('bench:start')
  .description('Measures the time from the start of a process until it is ready.')
  .option('--rounds <n>', 'how often each row is measured', integerFrom(1, 100), 5)
  .option('--json', 'print one JSON document', false)
  .parse()
  .opts<{ rounds: number; json: boolean }>();

const report = reportStarts(describeMachine(), await measureStarts(rounds, (line) => console.error(line)));
console.log(json ? JSON.stringify(report, null, 2) : renderStarts(report));
process.exit(0);
