// The commands that bring the tables up and down.

import { createInterface } from 'node:readline/promises';
import { Option } from 'commander';
import type { Command, Context } from './command.ts';
import { Failure, usageFailure } from './failure.ts';
import { formatTable } from './output.ts';
import { withDatabase } from './store.ts';

const up: Command = {
  name: 'migrate up',
  summary: 'create the tables, or bring them up to date',
  details:
    'Safe to run again, and from several machines at once. "start" does it too, unless database.migrate is false.',
  examples: ['migrate up'],
  run: (context) =>
    withDatabase(
      context,
      async (database) => {
        const { migrateUp } = await import('../store/migrate.ts');
        const applied = await migrateUp(database);
        const text = applied.length === 0 ? 'The database is up to date.' : `Applied: ${applied.join(', ')}`;
        context.output.result({ applied }, text);
        return undefined;
      },
      () => true,
    ),
};

const down: Command<{ yes?: true }> = {
  name: 'migrate down',
  summary: 'revert the latest migration: drops its tables with all they hold',
  details: 'Names what it drops and asks first; where there is no terminal it needs --yes.',
  options: [new Option('--yes', 'do not ask')],
  examples: ['migrate down', 'migrate down --yes'],
  run: (context, { yes }) =>
    withDatabase(context, async (database) => {
      const { migrateDown, tablesThatDownDrops } = await import('../store/migrate.ts');
      const tables = await tablesThatDownDrops(database);
      if (tables.length > 0 && yes !== true) await confirm(context, `This drops ${tables.join(', ')} with every row.`);
      const reverted = await migrateDown(database);
      const text = reverted.length === 0 ? 'There is nothing to revert.' : `Reverted: ${reverted.join(', ')}`;
      context.output.result({ reverted, dropped: reverted.length === 0 ? [] : tables }, text);
      return undefined;
    }),
};

const status: Command = {
  name: 'migrate status',
  summary: 'show which migrations are applied',
  examples: ['migrate status'],
  run: (context) =>
    withDatabase(context, async (database) => {
      const { migrationStatus } = await import('../store/migrate.ts');
      const migrations = await migrationStatus(database);
      const rows = migrations.map(({ name, appliedAt }) => [name, appliedAt ?? 'not applied']);
      context.output.result({ migrations }, formatTable(['migration', 'applied'], rows));
      return undefined;
    }),
};

export const migrateCommands = [up, down, status] as const;

/** Goes on only after a "yes" at a terminal. */
async function confirm({ stdin, output }: Context, what: string): Promise<void> {
  if (stdin.isTTY !== true || output.isJson) throw usageFailure(`${what} Give --yes if that is what you want.`);
  const terminal = createInterface({ input: stdin, output: output.stderr });
  const answer = await terminal.question(`${what} Type "yes" to go on: `).finally(() => terminal.close());
  if (answer.trim().toLowerCase() !== 'yes') throw new Failure('NOT_CONFIRMED', 'Nothing was changed.');
}
