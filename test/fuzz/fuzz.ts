// `npm run test:fuzz`: malformed and cut requests over raw sockets against a gateway in a process of its own. It prints
// what came of them, and fails when a promise was broken.

import { Command, InvalidArgumentError } from 'commander';
import { runFuzz } from './run.ts';

const mebibyte = 1024 * 1024;

const { requests, seed } = new Command('npm run test:fuzz --')
  .description('Sends malformed and cut requests to a gateway and checks that it keeps its promises.')
  .option('--requests <count>', 'how many connections', wholeNumber, 100_000)
  .option('--seed <number>', 'repeats what was drawn', wholeNumber, Math.floor(Math.random() * 2 ** 31))
  .parse()
  .opts<{ requests: number; seed: number }>();

console.log(`${requests} connections, seed ${seed}`);
const startedAt = performance.now();
const { answers, memory, spent, broken } = await runFuzz({
  requests,
  seed,
  onProgress: (done) => process.stderr.isTTY && process.stderr.write(`\r${done}`),
});
const [early, late] = memory.map((bytes) => `${Math.round(bytes / mebibyte)} MiB`);
console.log(`${Math.round((performance.now() - startedAt) / 1_000)} s`);
console.log(
  `first answers: ${Object.entries(answers)
    .map(([status, count]) => `${status} × ${count}`)
    .join(', ')}`,
);
console.log(`memory: ${early} after a fifth of it, ${late} at the end; ${spent} credits charged`);
for (const promise of broken) console.error(`broken: ${promise}`);
if (broken.length === 0) console.log('every promise was kept');
process.exit(broken.length === 0 ? 0 : 1);

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Write a whole number.');
  return Number(text);
}
