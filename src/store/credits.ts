// Every statement by which people move credits: grants, deductions and corrections. (Charges are moved by the sync.)
// Each is one transaction under the lock of the user's row: the ledger entry and the balance change together, `posted`
// tells the triggers that the entry is written, and the user's leases are asked back, so that every gateway hears of
// the new balance within a second. Balances are whole numbers within ±(2^53 − 1).

import { setTimeout } from 'node:timers/promises';
import { type SqlBool, sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { type Claim, keepAnswer } from './claims.ts';
import { type Db, isPostgres, type LedgerKind, type Trx, transact } from './database.ts';
import { Refusal } from './refusal.ts';

/** What is kept about a change besides its amount. */
export interface Reason {
  /** Who did it, for example `cli:ops`. */
  readonly actor: string;
  readonly note?: string | null;
  /** Of a request that may come again: see `bookOnce`. */
  readonly claim?: Claim | undefined;
}

/** A change of one balance, as it was booked. */
export interface Booking {
  /** Id of the ledger entry; null when there was nothing to change. */
  readonly entryId: string | null;
  readonly userId: string;
  readonly kind: LedgerKind;
  /** Signed. */
  readonly amount: number;
  /** The balance afterwards. */
  readonly balance: number;
}

/** What a grant may be called. */
export type GrantKind = 'grant' | 'topup' | 'refund';

/** How long a deduction waits for running gateways to give leases back: they answer within a second. */
const recallWaitMs = 3_000;
const recallPollMs = 100;

/** The balance. Refuses USER_NOT_FOUND. */
export async function getUserCredits(db: Db, userId: string): Promise<number> {
  return creditsOf(await db.selectFrom('users').select('credits').where('id', '=', userId).executeTakeFirst(), userId);
}

/** The balance, and whether it covers `requiredAmount`. Reserves nothing. Refuses USER_NOT_FOUND. */
export async function checkUserCredits(
  db: Db,
  userId: string,
  requiredAmount: number,
): Promise<{ credits: number; sufficient: boolean }> {
  const credits = await getUserCredits(db, userId);
  return { credits, sufficient: credits >= requiredAmount };
}

/** The credits that running gateways have reserved: the sum of the user's live leases. */
export async function getReservedCredits(db: Db, userId: string): Promise<number> {
  const { reserved } = await db
    .selectFrom('leases')
    .innerJoin('instances', 'instances.id', 'leases.instance')
    .select(sql<number>`coalesce(sum(leases.amount), 0)`.as('reserved'))
    .where('leases.user_id', '=', userId)
    .where(sql<SqlBool>`NOT instances.fenced`)
    .executeTakeFirstOrThrow();
  return reserved;
}

/** Adds credits. Refuses USER_NOT_FOUND, CREDITS_OUT_OF_RANGE. */
export async function grantCredits(
  trx: Trx,
  userId: string,
  amount: number,
  { kind = 'grant', ...reason }: Reason & { readonly kind?: GrantKind },
): Promise<Booking> {
  const balance = await lockUser(trx, userId);
  return post(trx, { userId, kind, amount, balance }, reason);
}

/**
 * Takes credits: an `adjustment` of `−amount`. Guards `credits − Σ live leases ≥ amount`, so no call that a gateway has
 * admitted goes unpaid; where only leases stand in the way, it asks them back and waits up to 3 s. `isForced` ignores
 * the guard and may take the balance below 0. Opens its own transactions, for the leases come back between them.
 * Refuses USER_NOT_FOUND, CREDITS_INSUFFICIENT, CREDITS_RESERVED, CREDITS_OUT_OF_RANGE.
 */
export async function deductUserCredits(
  db: Db,
  userId: string,
  amount: number,
  { isForced = false, ...reason }: Reason & { readonly isForced?: boolean },
): Promise<Booking> {
  const deadline = performance.now() + recallWaitMs;
  for (;;) {
    // Leases granted while this waited for the lock have to be seen.
    const result = await transact(db, (trx) => tryDeduct(trx, userId, amount, isForced, reason));
    if ('entryId' in result) return result;
    if (performance.now() >= deadline) {
      throw new Refusal(
        'CREDITS_RESERVED',
        `The balance is ${result.balance}, but ${result.reserved} of it are reserved by calls in flight`,
      );
    }
    await setTimeout(recallPollMs);
  }
}

/** One try: books it, or asks the leases that stand in the way, to be committed, and says how much they reserve. */
async function tryDeduct(
  trx: Trx,
  userId: string,
  amount: number,
  isForced: boolean,
  reason: Reason,
): Promise<Booking | { balance: number; reserved: number }> {
  const balance = await lockUser(trx, userId);
  if (!isForced) {
    if (balance < amount) throw new Refusal('CREDITS_INSUFFICIENT', `The balance is ${balance}, less than ${amount}`);
    const reserved = await getReservedCredits(trx, userId);
    if (balance - reserved < amount) {
      await askLeases(trx, userId);
      return { balance, reserved };
    }
  }
  return post(trx, { userId, kind: 'adjustment', amount: -amount, balance }, reason);
}

/**
 * Sets the balance: an `adjustment` of the difference, none where there is no difference. With `ifCurrent` it compares
 * first and refuses CREDITS_CHANGED. Calls that were admitted before still charge. Refuses USER_NOT_FOUND.
 */
export async function setCredits(
  trx: Trx,
  userId: string,
  credits: number,
  { ifCurrent, ...reason }: Reason & { readonly ifCurrent?: number | undefined },
): Promise<Booking> {
  const balance = await lockUser(trx, userId);
  if (ifCurrent !== undefined && balance !== ifCurrent) {
    throw new Refusal('CREDITS_CHANGED', `The balance is ${balance}, not ${ifCurrent}`);
  }
  const amount = credits - balance;
  if (amount === 0) return answered(trx, { entryId: null, userId, kind: 'adjustment', amount, balance }, reason.claim);
  return post(trx, { userId, kind: 'adjustment', amount, balance }, reason);
}

/**
 * Locks the user's row until the end of the transaction and gives the balance. The lock is a statement of its own: one
 * that locks and reads leases at once would see the leases as they were before it got the lock.
 */
async function lockUser(trx: Trx, userId: string): Promise<number> {
  const query = trx.selectFrom('users').select('credits').where('id', '=', userId);
  return creditsOf(await (isPostgres(trx) ? query.forNoKeyUpdate() : query).executeTakeFirst(), userId);
}

function creditsOf(user: { credits: number } | undefined, userId: string): number {
  if (user === undefined) throw new Refusal('USER_NOT_FOUND', `There is no user ${JSON.stringify(userId)}`);
  return user.credits;
}

interface Posting {
  readonly userId: string;
  readonly kind: LedgerKind;
  readonly amount: number;
  /** The balance before, read under the lock. */
  readonly balance: number;
}

async function post(
  trx: Trx,
  { userId, kind, amount, balance }: Posting,
  { actor, note = null, claim }: Reason,
): Promise<Booking> {
  const entryId = claim?.entryId ?? uuidv7();
  const after = balance + amount;
  // The sum is exact or beyond the bound on either side: two safe integers add up without an error below 2^54.
  if (!Number.isSafeInteger(after) || !Number.isSafeInteger(amount)) {
    throw new Refusal('CREDITS_OUT_OF_RANGE', `The balance would pass ±${Number.MAX_SAFE_INTEGER}`);
  }
  await trx.insertInto('ledger').values({ id: entryId, user_id: userId, kind, amount, actor, note }).execute();
  await trx
    .updateTable('users')
    .set((column) => ({
      credits: column('credits', '+', amount),
      posted: column('posted', '+', 1),
      updated_at: new Date().toISOString(),
    }))
    .where('id', '=', userId)
    .execute();
  await askLeases(trx, userId);
  return answered(trx, { entryId, userId, kind, amount, balance: after }, claim);
}

async function answered(trx: Trx, booking: Booking, claim: Claim | undefined): Promise<Booking> {
  if (claim !== undefined) await keepAnswer(trx, claim, booking);
  return booking;
}

async function askLeases(trx: Trx, userId: string): Promise<void> {
  await trx
    .updateTable('leases')
    .set({ recall: 'asked' })
    .where('user_id', '=', userId)
    .where('recall', '=', '')
    .execute();
}
