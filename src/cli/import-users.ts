// The command that creates users from a CSV file. Every row is checked before the first user is created.

import { createReadStream } from 'node:fs';
import { Argument, Option } from 'commander';
import type { Command } from './command.ts';
import { formatFields } from './output.ts';
import { startProgress } from './progress.ts';
import { withNewStore } from './store.ts';
import { startingCreditsOf } from './users.ts';

export const importCommand: Command<{ file: string; plan?: string }> = {
  name: 'users import',
  summary: 'create users from a CSV file; who is there already is left alone',
  details:
    'Columns: email, name, credits, in the order of a first line that names them, or in this order without one. An ' +
    'empty name is the part before the @, empty credits are those of the plan. If any row is wrong, each is told and ' +
    'nothing is changed.',
  arguments: [new Argument('<file>', 'the CSV file, or - for standard input')],
  options: [new Option('--plan <plan>', 'a plan of the configuration (default: its defaultPlan)')],
  examples: ['users import users.csv', 'users import - --plan Basic < users.csv'],
  run: (context, input) =>
    withNewStore(context, async ({ db, config, actor, log }) => {
      const { importUsers } = await import('../store/import-users.ts');
      const { readUsers } = await import('./users-file.ts');
      const plan = input.plan ?? config.defaultPlan;
      const users = await readUsers(input.file === '-' ? context.stdin : createReadStream(input.file), {
        plan,
        credits: startingCreditsOf(config, plan),
      });
      const progress = await startProgress(context.output, users.length, 'users');
      const counts = await importUsers(db, users, { actor, onProgress: progress.update }).finally(progress.stop);
      log.info({ kind: 'signup', ...counts, actor }, 'import');
      context.output.result(counts, formatFields(counts));
      return undefined;
    }),
};
