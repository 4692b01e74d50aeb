// The command that sets the credits of many users: also behind scripts/update-existing-users-credits.ts.

import { Option } from 'commander';
import type { Command } from './command.ts';
import { Failure } from './failure.ts';
import { startProgress } from './progress.ts';
import { withStore } from './store.ts';
import { parseCredits } from './values.ts';

interface BackfillInput {
  all?: true;
  amount: number;
  dryRun?: true;
}

export const backfillCommand: Command<BackfillInput> = {
  name: 'backfill credits',
  summary: 'set the credits of every user with 0 or less',
  details:
    'One adjustment in the ledger for each. Works in batches beside running gateways; who has the amount is skipped, ' +
    'so a run that was stopped is simply started again.',
  options: [
    new Option('--all', 'every user, whatever the balance'),
    new Option('--amount <credits>', 'the balance to set').argParser(parseCredits).default(5000),
    new Option('--dry-run', 'only count them'),
  ],
  examples: ['backfill credits --dry-run', 'backfill credits', 'backfill credits --all --amount 10000'],
  run: (context, { all, amount, dryRun }) =>
    withStore(context, async ({ db, log, actor }) => {
      const { backfillCredits, countBackfill } = await import('../store/backfill.ts');
      const which = { credits: amount, isAll: all === true };
      const due = await countBackfill(db, which);
      if (dryRun === true) {
        context.output.result(
          { users: due, credits: amount, dryRun: true },
          `Users that would be set to ${amount}: ${due}`,
        );
        return undefined;
      }
      const progress = await startProgress(context.output, due, 'users');
      const { users, isStopped } = await untilInterrupted((signal) =>
        backfillCredits(db, { ...which, actor, signal, onProgress: progress.update }),
      ).finally(progress.stop);
      log.info({ kind: 'adjustment', users, credits: amount, actor }, 'backfill');
      if (isStopped)
        throw new Failure('STOPPED', `Stopped with ${users} of ${due} users set. Run it again to do the rest.`);
      context.output.result({ users, credits: amount, dryRun: false }, `Users set to ${amount}: ${users}`);
      return undefined;
    }),
};

/** Ctrl-C and SIGTERM let the work stop where it is safe; a second one ends the process at once, which is safe too. */
async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    return await work(interruption.signal);
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}
