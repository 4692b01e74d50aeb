// Requests that may come again: each brings a key, and is carried out once. The first to come claims the key and fixes the
// id of its ledger entry; the answer is kept in the transaction that books it. So whoever dies in between has booked all
// of it or nothing, and who comes later takes over what a dead one has left.

import { setTimeout } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import type { Booking } from './credits.ts';
import { type Db, isPostgres, type Trx } from './database.ts';
import { Refusal } from './refusal.ts';

/** A request and the key by which it is known. */
export interface ClaimedRequest {
  readonly key: string;
  readonly userId: string;
  /** What is asked for: the same request is the same text. */
  readonly request: string;
}

/** Whoever has it carries the request out. */
export interface Claim {
  readonly key: string;
  /** The id of the ledger entry. */
  readonly entryId: string;
}

/** `isRepeat`: it was booked before. */
export type Booked = Booking & { readonly isRepeat: boolean };

/** A claim without an answer that is so old is of one who has died. */
const claimMaxMs = 10_000;
const pollMs = 50;
/** For how long an answer is kept, and how many old ones one request clears away. */
const keptDays = 30;
const clearedMax = 100;

/**
 * Carries a request out once: `book` hands the claim on to whatever books it. The same request again is answered as it was;
 * `isRepeat` tells. Refuses IDEMPOTENCY_KEY_USED for another request with this key, IDEMPOTENCY_KEY_BUSY when the first is
 * under way for longer than `waitMs`, and as `book` does, after which the key is free again.
 */
export async function bookOnce(
  db: Db,
  request: ClaimedRequest,
  book: (claim: Claim) => Promise<Booking>,
  { waitMs = 0 } = {},
): Promise<Booked> {
  const untilMs = performance.now() + waitMs;
  await clearOld(db);
  for (;;) {
    const found = await claimOrAnswer(db, request);
    if ('entryId' in found) return carryOut(db, found, book);
    if (found.answer !== null) return { ...found.answer, isRepeat: true };
    if (performance.now() >= untilMs) throw busy(request.key);
    await setTimeout(pollMs);
  }
}

/**
 * Keeps what a claimed request is answered, in the transaction that books it: of several who have the claim one can, and of
 * none whose claim was freed. Refuses IDEMPOTENCY_KEY_BUSY, with which the booking is undone.
 */
export async function keepAnswer(trx: Trx, { key, entryId }: Claim, booking: Booking): Promise<void> {
  const own = trx
    .updateTable('idempotency_keys')
    .set({ answer: JSON.stringify(booking) })
    .where('key', '=', key);
  const kept = await own.where('entry_id', '=', entryId).where('answer', 'is', null).executeTakeFirstOrThrow();
  if (kept.numUpdatedRows !== 1n) throw busy(key);
}

async function carryOut(db: Db, claim: Claim, book: (claim: Claim) => Promise<Booking>): Promise<Booked> {
  try {
    return { ...(await book(claim)), isRepeat: false };
  } catch (error) {
    // Somebody who was taken for dead may have booked it meanwhile, which may be why it was refused here.
    const row = await db.selectFrom('idempotency_keys').selectAll().where('key', '=', claim.key).executeTakeFirst();
    if (row?.entry_id === claim.entryId && row.answer !== null) return { ...answerIn(row.answer), isRepeat: true };
    // What failed otherwise may be done all the same: its claim stays, and keeps the id of the entry.
    if (error instanceof Refusal) await giveUp(db, claim);
    throw error;
  }
}

async function giveUp(db: Db, { key, entryId }: Claim): Promise<void> {
  const own = db.deleteFrom('idempotency_keys').where('key', '=', key).where('entry_id', '=', entryId);
  await own.where('answer', 'is', null).execute();
}

function answerIn(text: string): Booking {
  return JSON.parse(text) as Booking;
}

function busy(key: string): Refusal {
  return new Refusal('IDEMPOTENCY_KEY_BUSY', `The request with the key ${JSON.stringify(key)} is under way`);
}

async function claimOrAnswer(
  db: Db,
  { key, userId, request }: ClaimedRequest,
): Promise<Claim | { answer: Booking | null }> {
  const now = new Date().toISOString();
  const entryId = uuidv7();
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('idempotency_keys')
    .values({ key, user_id: userId, request, entry_id: entryId, created_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow();
  if (numInsertedOrUpdatedRows === 1n) return { key, entryId };
  const earlier = await db.selectFrom('idempotency_keys').selectAll().where('key', '=', key).executeTakeFirst();
  // Its request was refused in the meantime.
  if (earlier === undefined) return { answer: null };
  if (earlier.user_id !== userId || earlier.request !== request) {
    throw new Refusal(
      'IDEMPOTENCY_KEY_USED',
      `The idempotency key ${JSON.stringify(key)} was used for another request`,
    );
  }
  const isLeft = earlier.answer === null && Date.parse(earlier.created_at) + claimMaxMs < Date.now();
  if (isLeft) return takeOver(db, earlier, now);
  return { answer: earlier.answer === null ? null : answerIn(earlier.answer) };
}

/** Of several who find it left, one takes it. Its entry keeps its id, so that it cannot be booked twice whoever lives after all. */
async function takeOver(
  db: Db,
  { key, entry_id: entryId, created_at }: { key: string; entry_id: string; created_at: string },
  now: string,
): Promise<Claim | { answer: null }> {
  const { numUpdatedRows } = await db
    .updateTable('idempotency_keys')
    .set({ created_at: now })
    .where('key', '=', key)
    .where('created_at', '=', created_at)
    .where('answer', 'is', null)
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n ? { key, entryId } : { answer: null };
}

async function clearOld(db: Db): Promise<void> {
  const before = new Date(Date.now() - keptDays * 86_400_000).toISOString();
  const old = db.selectFrom('idempotency_keys').select('key').where('created_at', '<', before).limit(clearedMax);
  // Two that clear away the same rows would wait for each other.
  const free = isPostgres(db) ? old.forUpdate().skipLocked() : old;
  await db.deleteFrom('idempotency_keys').where('key', 'in', free).execute();
}
