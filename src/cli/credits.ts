// The commands that move credits, each with a line in the log, and the one that shows them.

import { Argument, Option } from 'commander';
import type { Claim } from '../store/claims.ts';
import type { Booking, GrantKind } from '../store/credits.ts';
import { type Command, type Context, userArgument } from './command.ts';
import { formatFields } from './output.ts';
import { logBooking, type Store, withStore } from './store.ts';
import { parseAmount, parseCredits, parseText } from './values.ts';

const amountArgument = (description: string) => new Argument('<amount>', description).argParser(parseAmount);
/** For how long a grant waits for the same one, which is under way elsewhere. */
const repeatWaitMs = 5_000;

const noteOption = () => new Option('--note <text>', 'kept in the ledger').argParser(parseText);

const show: Command<{ user: string }> = {
  name: 'credits show',
  summary: 'show the balance of a user, and what gateways have reserved of it',
  arguments: [userArgument()],
  examples: ['credits show ann@example.com', 'credits show ann@example.com --json'],
  run: (context, input) =>
    withStore(context, async ({ db }) => {
      const { getReservedCredits } = await import('../store/credits.ts');
      const { findUser } = await import('../store/users.ts');
      const { id: userId, email, credits } = await findUser(db, input.user);
      const reserved = await getReservedCredits(db, userId);
      const balance = { userId, email, credits, reserved, available: credits - reserved };
      context.output.result(balance, formatFields(balance));
      return undefined;
    }),
};

interface GrantInput {
  user: string;
  amount: number;
  kind: GrantKind;
  note?: string;
  idempotencyKey?: string;
}

const grant: Command<GrantInput> = {
  name: 'credits grant',
  summary: 'add credits',
  arguments: [userArgument(), amountArgument('credits to add')],
  options: [
    new Option('--kind <kind>', 'what the ledger calls it').choices(['grant', 'topup', 'refund']).default('grant'),
    noteOption(),
    new Option('--idempotency-key <key>', 'the same key again, within 30 days, grants nothing again').argParser(
      parseText,
    ),
  ],
  examples: [
    'credits grant ann@example.com 500 --note "welcome back"',
    'credits grant ann@example.com 10000 --kind topup --idempotency-key invoice-2026-0042',
  ],
  run: (context, { idempotencyKey, ...input }) =>
    withStore(context, async (store) => {
      const { bookOnce } = await import('../store/claims.ts');
      const { grantCredits } = await import('../store/credits.ts');
      const { transact } = await import('../store/database.ts');
      const { findUser } = await import('../store/users.ts');
      const userId = (await findUser(store.db, input.user)).id;
      const reason = { actor: store.actor, note: input.note ?? null, kind: input.kind };
      const book = (claim?: Claim) =>
        transact(store.db, (trx) => grantCredits(trx, userId, input.amount, { ...reason, claim }));
      const request = JSON.stringify({ userId, kind: input.kind, amount: input.amount, note: reason.note });
      const booking =
        idempotencyKey === undefined
          ? { ...(await book()), isRepeat: false }
          : await bookOnce(store.db, { key: idempotencyKey, userId, request }, book, { waitMs: repeatWaitMs });
      if (booking.isRepeat) context.output.note('This was granted before: nothing was changed.');
      return showBooking(context, store, booking, booking.isRepeat);
    }),
};

const deduct: Command<{ user: string; amount: number; note?: string; force?: true }> = {
  name: 'credits deduct',
  summary: 'take credits away, not below 0',
  details:
    'Credits that gateways have reserved for calls in flight are not taken: for those it waits up to three seconds.',
  arguments: [userArgument(), amountArgument('credits to take')],
  options: [noteOption(), new Option('--force', 'take them all the same, even below 0')],
  examples: ['credits deduct ann@example.com 100 --note "refunded by card"'],
  run: (context, input) =>
    withStore(context, async (store) => {
      const { deductUserCredits } = await import('../store/credits.ts');
      const { findUser } = await import('../store/users.ts');
      const userId = (await findUser(store.db, input.user)).id;
      const reason = { actor: store.actor, note: input.note ?? null, isForced: input.force === true };
      return showBooking(context, store, await deductUserCredits(store.db, userId, input.amount, reason));
    }),
};

const set: Command<{ user: string; credits: number; if?: number; note?: string }> = {
  name: 'credits set',
  summary: 'set the balance',
  details: 'Calls that a gateway has admitted before are still charged after it.',
  arguments: [userArgument(), new Argument('<credits>', 'the new balance').argParser(parseCredits)],
  options: [new Option('--if <credits>', 'only if this is the balance now').argParser(parseCredits), noteOption()],
  examples: ['credits set ann@example.com 5000', 'credits set ann@example.com 5000 --if 0'],
  run: (context, input) =>
    withStore(context, async (store) => {
      const { setCredits } = await import('../store/credits.ts');
      const { transact } = await import('../store/database.ts');
      const { findUser } = await import('../store/users.ts');
      const userId = (await findUser(store.db, input.user)).id;
      const reason = { actor: store.actor, note: input.note ?? null, ifCurrent: input.if };
      const booking = await transact(store.db, (trx) => setCredits(trx, userId, input.credits, reason));
      if (booking.entryId === null) context.output.note('That is the balance already: nothing was changed.');
      return showBooking(context, store, booking, booking.entryId === null);
    }),
};

export const creditCommands = [show, grant, deduct, set] as const;

function showBooking({ output }: Context, { log, actor }: Store, booking: Booking, isUnchanged = false): undefined {
  if (!isUnchanged) logBooking(log, actor, booking);
  const { userId, kind, amount, balance: credits, entryId } = booking;
  const result = { userId, kind, amount, credits, entryId };
  output.result(result, formatFields(result));
}
