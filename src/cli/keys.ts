// The commands about API keys. A key is shown once, when it is made; after that only its id and first characters are.

import { Argument, Option } from 'commander';
import { generateKey } from '../identity/api-keys.ts';
import type { ApiKey } from '../store/keys.ts';
import { type Command, type Context, userArgument } from './command.ts';
import { usageFailure } from './failure.ts';
import { formatFields, formatTable } from './output.ts';
import { withStore } from './store.ts';
import { parseAmount, parseDuration, parseText } from './values.ts';

const keyArgument = () => new Argument('<key>', 'id of the key (key_…), as "keys list" shows it');

const create: Command<{ user: string; name: string; expires?: number; limit?: number }> = {
  name: 'keys create',
  summary: 'make an API key, and print it this once',
  arguments: [userArgument()],
  options: [
    new Option('--name <name>', 'what the key is for').argParser(parseText).default('default'),
    new Option('--expires <duration>', 'how long it is good, such as 90d (default: for good)').argParser(parseDuration),
    new Option('--limit <credits>', 'what all calls with it together may cost (default: no limit)').argParser(
      parseAmount,
    ),
  ],
  examples: ['keys create ann@example.com', 'keys create ann@example.com --name ci --expires 90d --limit 1000'],
  run: (context, { user, name, expires, limit = null }) =>
    withStore(context, async ({ db }) => {
      if (expires === 0)
        throw usageFailure('A key that expires at once is good for nothing. Give --expires more time.');
      const { createKey } = await import('../store/keys.ts');
      const { findUser } = await import('../store/users.ts');
      const userId = (await findUser(db, user)).id;
      const expiresAt = expires === undefined ? null : new Date(Date.now() + expires).toISOString();
      const generated = generateKey();
      const key = await createKey(db, { userId, name, limit, expiresAt }, generated);
      return showNewKey(context, key, generated.key);
    }),
};

const list: Command<{ user: string }> = {
  name: 'keys list',
  summary: 'list the keys of a user, the revoked ones too',
  arguments: [userArgument()],
  examples: ['keys list ann@example.com'],
  run: (context, { user }) =>
    withStore(context, async ({ db }) => {
      const { listKeys } = await import('../store/keys.ts');
      const { findUser } = await import('../store/users.ts');
      const keys = await listKeys(db, (await findUser(db, user)).id);
      context.output.result({ keys }, keyTable(keys));
      return undefined;
    }),
};

const revoke: Command<{ key: string }> = {
  name: 'keys revoke',
  summary: 'end a key: every gateway refuses it within a second',
  arguments: [keyArgument()],
  examples: ['keys revoke key_x4m1c7'],
  run: (context, input) =>
    withStore(context, async ({ db }) => {
      const { transact } = await import('../store/database.ts');
      const { revokeKey } = await import('../store/keys.ts');
      const key = await transact(db, (trx) => revokeKey(trx, input.key));
      context.output.result(key, formatFields({ ...key }));
      return undefined;
    }),
};

const rotate: Command<{ key: string; overlap: number }> = {
  name: 'keys rotate',
  summary: 'replace a key, and print the new one this once',
  details: 'Id, limit, spending, expiry and history carry on.',
  arguments: [keyArgument()],
  options: [
    new Option('--overlap <duration>', 'how long the old key is good beside the new one')
      .argParser(parseDuration)
      .default(0, '0s'),
  ],
  examples: ['keys rotate key_x4m1c7 --overlap 24h'],
  run: (context, input) =>
    withStore(context, async ({ db }) => {
      const { transact } = await import('../store/database.ts');
      const { rotateKey } = await import('../store/keys.ts');
      const generated = generateKey();
      const key = await transact(db, (trx) => rotateKey(trx, input.key, generated, input.overlap));
      return showNewKey(context, key, generated.key);
    }),
};

export const keyCommands = [create, list, revoke, rotate] as const;

/** Keys in columns. */
export function keyTable(keys: readonly ApiKey[]): string {
  const headings = ['id', 'name', 'key', 'limit', 'spent', 'last used', 'expires', 'revoked'];
  const rowOf = (key: ApiKey) => [
    key.id,
    key.name,
    `${key.hint}…`,
    key.limit,
    key.spent,
    key.lastUsedAt,
    key.expiresAt,
    key.revokedAt,
  ];
  return formatTable(headings, keys.map(rowOf));
}

function showNewKey({ output }: Context, apiKey: ApiKey, key: string): undefined {
  output.result({ key, ...apiKey }, formatFields({ key, ...apiKey }));
  output.note('Keep the key in a safe place: it is shown only now.');
}
