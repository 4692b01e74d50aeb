// The command by which anyone can see the promises hold on their own database, while everything goes wrong.

import { InvalidArgumentError, Option } from 'commander';
import { faultOf } from '../store/outage.ts';
import type { Command } from './command.ts';
import { exitCodes, Failure } from './failure.ts';
import { startProgress } from './progress.ts';
import { stopRequested } from './signals.ts';

const minutesMax = 60;
const seedMax = 2 ** 31;

export const verifyCommand: Command<{ minutes: number; seed?: number }> = {
  name: 'verify',
  summary: 'prove on your own database that no credit is lost or sold twice, whatever fails',
  details:
    'Runs three gateways with callers and an upstream of its own on this machine, in a new schema of the configured ' +
    'PostgreSQL (or in a temporary SQLite file), kills and stops them, cuts them off from the database, edits balances ' +
    'under them, and then compares what callers, upstream and ledger say. Says what was tried and what held; drops the ' +
    'schema at the end. Needs the right to create one. Exit code 1: a promise was not kept.',
  options: [
    new Option('--minutes <number>', 'how long everything goes wrong').argParser(parseMinutes).default(1),
    new Option('--seed <number>', 'draws the same faults and calls again (default: a random one)').argParser(parseSeed),
  ],
  examples: ['verify', 'verify --minutes 10', 'verify --seed 1234 --json'],
  run: async ({ configFile, env, output }, { minutes, seed = Math.floor(Math.random() * seedMax) }) => {
    const { loadConfig } = await import('../config/config.ts');
    const { database } = loadConfig({ file: configFile, env });
    const interruption = new AbortController();
    void stopRequested().then(() => interruption.abort());
    const seconds = Math.round(minutes * 60);
    const { verify } = await import('../verify/verify.ts');
    const { pageOf } = await import('../verify/page.ts');
    const progress = await startProgress(output, seconds, 'seconds');
    const isTerminal = output.stderr.isTTY === true;
    try {
      const report = await verify({
        ...{ databaseUrl: database.url, seconds, seed, lengths, server: null, signal: interruption.signal },
        // A bar and lines would write over each other.
        onStep: (text) => (isTerminal ? {} : output.note(text)),
        onSecond: (passed) => progress.update(passed),
        onLog: () => {},
        onKey: () => {},
      });
      progress.stop();
      if (report === null) throw new Failure('INTERRUPTED', 'It was ended early, and everything cleared away.');
      output.result(report, pageOf(report));
      return report.hasHeld ? exitCodes.done : exitCodes.failed;
    } catch (error) {
      progress.stop();
      throw withRemedy(error);
    }
  },
};

/** At least one pause and one outage long enough for a gateway to be taken for dead. */
const lengths = {
  pausesMs: [3_000, 10_000],
  outagesMs: [1_500, 3_000, 10_000],
  locksMs: [1_000, 4_000],
  gapMaxMs: 2_000,
};

function withRemedy(error: unknown): unknown {
  if (error instanceof Failure || !faultOf(error).code.startsWith('42501')) return error;
  return new Failure(
    'SCHEMA_REFUSED',
    'The database user may not create a schema. Grant it: GRANT CREATE ON DATABASE … TO …; or verify a copy of the database.',
  );
}

function parseMinutes(text: string): number {
  const minutes = /^\d{1,2}(\.\d{1,2})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(minutes > 0 && minutes <= minutesMax)) {
    throw new InvalidArgumentError(`Write a number of minutes up to ${minutesMax}, such as 5 or 0.5.`);
  }
  return minutes;
}

function parseSeed(text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) >= seedMax) {
    throw new InvalidArgumentError(`Write a whole number below ${seedMax}.`);
  }
  return Number(text);
}
