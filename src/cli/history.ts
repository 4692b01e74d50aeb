// The commands that look back: ledger, usage and audit.

import { Option } from 'commander';
import { ledgerKinds } from '../schema/ledger-filter.ts';
import type { Db, LedgerKind } from '../store/database.ts';
import type { Difference, UsageKey } from '../store/history.ts';
import type { UsageDifference } from '../store/usage-audit.ts';
import { type Command, type Context, userArgument } from './command.ts';
import { exitCodes, usageFailure } from './failure.ts';
import { formatTable } from './output.ts';
import { startProgress } from './progress.ts';
import { withStore } from './store.ts';
import { parseEntryId, parseRows, parseTime } from './values.ts';

interface LedgerWanted {
  readonly user: string;
  readonly limit: number;
  readonly before?: string;
  readonly kind?: LedgerKind;
  readonly route?: string;
  readonly key?: string;
  readonly from?: string;
  readonly to?: string;
}

const ledger: Command<LedgerWanted> = {
  name: 'ledger',
  summary: 'show every movement of a user’s credits, newest first',
  arguments: [userArgument()],
  options: [
    new Option('--limit <n>', 'how many to show').argParser(parseRows).default(50),
    new Option('--before <entry>', 'only entries older than this one: the next page').argParser(parseEntryId),
    new Option('--kind <kind>', 'only entries of this kind').choices(ledgerKinds),
    new Option('--route <name>', 'only calls on this route'),
    new Option('--key <id>', 'only calls with this key'),
    new Option('--from <time>', 'only entries of this day or time, or later').argParser(parseTime),
    new Option('--to <time>', 'only entries before this day or time').argParser(parseTime),
  ],
  examples: ['ledger ann@example.com', 'ledger ann@example.com --kind charge --from 2026-01-31 --json'],
  run: (context, { user, key: keyId, ...wanted }) =>
    withStore(context, async ({ db }) => {
      const { listLedger } = await import('../store/history.ts');
      const { findUser } = await import('../store/users.ts');
      const { entries, next } = await listLedger(db, (await findUser(db, user)).id, { keyId, ...wanted });
      const headings = ['time', 'kind', 'amount', 'route', 'status', 'ended', 'actor', 'note', 'entry'];
      const rows = entries.map((entry) => [
        entry.createdAt,
        entry.kind,
        entry.amount,
        entry.route,
        entry.status,
        entry.ended,
        entry.actor,
        entry.note,
        entry.id,
      ]);
      context.output.result({ entries, next }, formatTable(headings, rows));
      if (next !== null) context.output.note(`There are more: --before ${next}`);
      return undefined;
    }),
};

const usage: Command<{ from?: string; to?: string; by: UsageKey; limit: number }> = {
  name: 'usage',
  summary: 'sum up calls and credits',
  details: 'Counts whole hours that begin in the range, in UTC. "charged" is in credits, the rest in calls.',
  options: [
    new Option('--from <time>', 'day or time to begin with (default: the first)').argParser(parseTime),
    new Option('--to <time>', 'day or time to end before (default: now)').argParser(parseTime),
    new Option('--by <what>', 'what a row stands for').choices(['route', 'user', 'day', 'hour']).default('route'),
    new Option('--limit <n>', 'how many rows to show').argParser(parseRows).default(1000),
  ],
  examples: ['usage', 'usage --from 2026-01-01 --to 2026-02-01 --by user'],
  run: async (context, { from, to, by, limit }) => {
    if (from !== undefined && to !== undefined && from >= to) throw usageFailure('--from has to be before --to.');
    return withStore(context, async ({ db }) => {
      const { sumUsage } = await import('../store/history.ts');
      const found = await sumUsage(db, { by, from, to, limit: limit + 1 });
      const rows = found.slice(0, limit).map(({ key, ...totals }) => ({ [by]: key, ...totals }));
      const cells = found.slice(0, limit).map((row) => [row.key, row.calls, row.charged, row.failed, row.refused]);
      const hasMore = found.length > limit;
      const document = { by, from: from ?? null, to: to ?? null, rows, hasMore };
      context.output.result(document, formatTable([by, 'calls', 'charged', 'failed', 'refused'], cells));
      if (hasMore) context.output.note(`There are more than these ${limit}.`);
      return undefined;
    });
  },
};

const audit: Command<{ recount?: boolean }> = {
  name: 'audit',
  summary: 'recompute every balance from the ledger, and the totals of usage from its hours',
  details: 'Exit code 1 and a row for each user, or day of usage, where they differ.',
  options: [new Option('--recount', 'put the totals of usage right')],
  examples: ['audit', 'audit --json', 'audit --recount'],
  run: (context, { recount }) =>
    withStore(context, async ({ db }) => {
      const balances = await balancesIn(context, db);
      const usage = await usageIn(db, recount === true);
      context.output.result({ ...balances, usage }, [...balanceLines(balances), ...usageLines(usage)].join('\n'));
      const isRight = balances.differences.length === 0 && (usage.differences.length === 0 || recount === true);
      return isRight ? exitCodes.done : exitCodes.failed;
    }),
};

interface Balances {
  readonly users: number;
  readonly differences: readonly Difference[];
}

async function balancesIn(context: Context, db: Db): Promise<Balances> {
  const { auditBalances, countUsers } = await import('../store/history.ts');
  let users = 0;
  const differences: Difference[] = [];
  const progress = await startProgress(context.output, await countUsers(db), 'users');
  for await (const batch of auditBalances(db)) {
    users += batch.users;
    differences.push(...batch.differences);
    progress.update(users);
  }
  progress.stop();
  return { users, differences };
}

function balanceLines({ users, differences }: Balances): string[] {
  const rows = differences.map((row) => [row.userId, row.email, row.credits, row.ledger, row.credits - row.ledger]);
  const summary = `Users: ${users}. Balances that are not the sum of the ledger: ${rows.length}.`;
  if (rows.length === 0) return [summary];
  return [formatTable(['user', 'email', 'credits', 'ledger', 'difference'], rows), '', summary];
}

interface Usage {
  readonly days: number;
  readonly differences: readonly UsageDifference[];
  readonly recounted: boolean;
}

async function usageIn(db: Db, recounted: boolean): Promise<Usage> {
  const { auditUsage, recountUsage } = await import('../store/usage-audit.ts');
  let days = 0;
  const differences: UsageDifference[] = [];
  for await (const difference of auditUsage(db)) {
    days += 1;
    if (difference === null) continue;
    differences.push(difference);
    if (recounted) await recountUsage(db, difference.day);
  }
  return { days, differences, recounted };
}

function usageLines({ days, differences, recounted }: Usage): string[] {
  const rows = differences.map(({ day, users, routes }) => [day, users, routes]);
  const summary = `Days of usage: ${days}. Totals that are not the sum of their hours: ${rows.length}.`;
  if (rows.length === 0) return [summary];
  const remedy = recounted ? 'They were counted anew.' : 'Count them anew with --recount.';
  return ['', formatTable(['day', 'users', 'routes'], rows), '', `${summary} ${remedy}`];
}

export const historyCommands = [ledger, usage, audit] as const;
