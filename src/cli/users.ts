// The commands about users.

import { Argument, Option } from 'commander';
import type { Config } from '../config/config.ts';
import type { User } from '../store/users.ts';
import { type Command, type Context, userArgument } from './command.ts';
import { usageFailure } from './failure.ts';
import { keyTable } from './keys.ts';
import { formatFields, formatTable } from './output.ts';
import { withNewStore, withStore } from './store.ts';
import { parseEmail, parseRows, parseText } from './values.ts';

const create: Command<{ email?: string; name?: string; plan?: string }> = {
  name: 'users create',
  summary: 'create a user with the starting credits of the plan',
  details: 'Without an e-mail address it is a service account. The name is by default the part before the @.',
  arguments: [new Argument('[email]', 'e-mail address').argParser(parseEmail)],
  options: [
    new Option('--name <name>', 'name to show').argParser(parseText),
    new Option('--plan <plan>', 'a plan of the configuration (default: its defaultPlan)'),
  ],
  examples: ['users create ann@example.com', 'users create --name "nightly report" --plan Basic'],
  run: (context, input) =>
    withNewStore(context, async ({ db, config, actor, log }) => {
      const { transact } = await import('../store/database.ts');
      const { createUser } = await import('../store/users.ts');
      const plan = input.plan ?? config.defaultPlan;
      const credits = startingCreditsOf(config, plan);
      const newUser = { email: input.email ?? null, name: input.name ?? null, plan, credits };
      const user = await transact(db, (trx) => createUser(trx, newUser, actor));
      log.info({ user: user.id, kind: 'signup', amount: credits, balance: credits, actor }, 'signup');
      return showUser(context, user);
    }),
};

const list: Command<{ search?: string; after?: string; limit: number }> = {
  name: 'users list',
  summary: 'list users, by pages',
  options: [
    new Option('--search <text>', 'only those whose id, name or e-mail address holds this').argParser(parseText),
    new Option('--limit <n>', 'how many to show').argParser(parseRows).default(50),
    new Option('--after <id>', 'begin after this user: the next page'),
  ],
  examples: ['users list', 'users list --search example.com --limit 10'],
  run: (context, { search, after, limit }) =>
    withStore(context, async ({ db }) => {
      const { listUsers } = await import('../store/users.ts');
      const found = await listUsers(db, { search, after, limit: limit + 1 });
      const users = found.slice(0, limit);
      const next = found.length > limit ? (users.at(-1)?.id ?? null) : null;
      const rows = users.map((user) => [user.id, user.email, user.name, user.plan, user.credits, user.blockedAt]);
      context.output.result({ users, next }, formatTable(['id', 'email', 'name', 'plan', 'credits', 'blocked'], rows));
      if (next !== null) context.output.note(`There are more: --after ${next}`);
      return undefined;
    }),
};

const show: Command<{ user: string }> = {
  name: 'users show',
  summary: 'show a user with credits and keys',
  arguments: [userArgument()],
  examples: ['users show ann@example.com'],
  run: (context, input) =>
    withStore(context, async ({ db }) => {
      const { getReservedCredits } = await import('../store/credits.ts');
      const { listKeys } = await import('../store/keys.ts');
      const { findUser } = await import('../store/users.ts');
      const user = await findUser(db, input.user);
      const reserved = await getReservedCredits(db, user.id);
      const keys = await listKeys(db, user.id);
      const available = user.credits - reserved;
      const text = formatFields({ ...user, reserved, available });
      context.output.result({ ...user, reserved, available, keys }, `${text}\n\n${keyTable(keys)}`);
      return undefined;
    }),
};

const plan: Command<{ user: string; plan: string }> = {
  name: 'users plan',
  summary: 'put a user on another plan; moves no credits',
  arguments: [userArgument(), new Argument('<plan>', 'a plan of the configuration')],
  examples: ['users plan ann@example.com Basic'],
  run: (context, input) =>
    withStore(context, async ({ db, config }) => {
      const { findUser, setPlan } = await import('../store/users.ts');
      startingCreditsOf(config, input.plan);
      return showUser(context, await setPlan(db, (await findUser(db, input.user)).id, input.plan));
    }),
};

const block: Command<{ user: string }> = {
  name: 'users block',
  summary: 'block a user: every gateway answers 403 within a second',
  arguments: [userArgument()],
  examples: ['users block ann@example.com'],
  run: (context, input) =>
    withStore(context, async ({ db }) => {
      const { blockUser, findUser } = await import('../store/users.ts');
      return showUser(context, await blockUser(db, (await findUser(db, input.user)).id));
    }),
};

const unblock: Command<{ user: string }> = {
  name: 'users unblock',
  summary: 'let a blocked user in again',
  arguments: [userArgument()],
  examples: ['users unblock ann@example.com'],
  run: (context, input) =>
    withStore(context, async ({ db }) => {
      const { findUser, unblockUser } = await import('../store/users.ts');
      return showUser(context, await unblockUser(db, (await findUser(db, input.user)).id));
    }),
};

export const userCommands = [list, show, create, plan, block, unblock] as const;

/** The starting credits of a plan, which has to be one of the configuration. */
export function startingCreditsOf(config: Config, plan: string): number {
  const found = Object.hasOwn(config.plans, plan) ? config.plans[plan] : undefined;
  if (found === undefined) {
    throw usageFailure(
      `There is no plan ${JSON.stringify(plan)}. Choose one of ${Object.keys(config.plans).join(', ')}.`,
    );
  }
  return found.startingCredits;
}

function showUser({ output }: Context, user: User): undefined {
  output.result(user, formatFields({ ...user }));
}
