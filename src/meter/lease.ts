// A lease in memory: credits that this process has reserved in the store and serves holds from, without asking anybody.
// It trades a little of the user's balance, kept aside for seconds, for calls that wait for no database. Pure
// arithmetic: every transition asserts that nothing is sold that the store has not reserved, but for what an outage allows.

import { strict as assert } from 'node:assert';
import type { LeaseAnswer, LeaseAsk } from '../store/sync/grants.ts';

/** One user as known here: what the store said last, less what has happened since. */
export interface Account {
  readonly user: string;
  /** `users.credits` in the last reply. */
  balance: number;
  /** Credits held by calls in flight on this instance. */
  held: number;
  /** Credits settled here and not acknowledged by the store. */
  unsent: number;
  /** How many leases it has here: the user's own, and one for each limited key in use. */
  leases: number;
}

export interface Lease {
  readonly account: Account;
  /** '' or the id of a key that has a limit of its own. */
  readonly key: string;
  /** What this instance may use; never more than the store's row. */
  amount: number;
  /** By how much more may be in use than `amount`: 0 but in an outage, and after one until the store has been told. */
  allowance: number;
  held: number;
  unsent: number;
  /** The part of `unsent` that is in the message under way. */
  sending: number;
  /** Nothing idle is held back: set when a message says so, until credits are granted again. */
  isEmptied: boolean;
  /** Cost of the last call, from which the next wish is made. */
  cost: number;
  /** Credits taken since the last ask, and the rate they make, in credits a second. */
  taken: number;
  rate: number;
  /** The clock's milliseconds at the last ask and at the last hold. */
  askedAtMs: number;
  usedAtMs: number;
}

/** A lease is asked for in advance for so long a time of use, at least for so many calls. */
const aheadSeconds = 5;
const aheadCalls = 16;

export function openLease(account: Account, key: string, nowMs: number): Lease {
  return {
    account,
    key,
    amount: 0,
    allowance: 0,
    held: 0,
    unsent: 0,
    sending: 0,
    isEmptied: true,
    cost: 0,
    taken: 0,
    rate: 0,
    askedAtMs: nowMs,
    usedAtMs: nowMs,
  };
}

/** Credits of the lease that no call uses. */
export function spareOf(lease: Lease): number {
  return Math.max(0, lease.amount - lease.held - lease.unsent);
}

/** Credits in use that the store has not reserved. */
function excessOf(lease: Lease): number {
  return Math.max(0, lease.held + lease.unsent - lease.amount);
}

/** Takes `cost` for a call, or changes nothing and returns false. */
export function takeHold(lease: Lease, cost: number, nowMs: number): boolean {
  assert.ok(Number.isSafeInteger(cost) && cost > 0, 'a hold takes a whole number of credits above 0');
  lease.cost = cost;
  lease.usedAtMs = nowMs;
  if (lease.held + lease.unsent + cost > lease.amount + lease.allowance) return false;
  lease.held += cost;
  lease.account.held += cost;
  lease.taken += cost;
  return true;
}

/** The call succeeded: what it held is owed to the store. */
export function settleHold(lease: Lease, cost: number): void {
  endHold(lease, cost);
  lease.unsent += cost;
  lease.account.unsent += cost;
  assertSound(lease);
}

/** The call costs nothing after all. */
export function releaseHold(lease: Lease, cost: number): void {
  endHold(lease, cost);
  assertSound(lease);
}

function endHold(lease: Lease, cost: number): void {
  assert.ok(lease.held >= cost, 'a hold is given back once');
  lease.held -= cost;
  lease.account.held -= cost;
}

/** True when so little is spare that the next message should ask for more before a call has to wait. */
export function isLow(lease: Lease): boolean {
  return !lease.isEmptied && spareOf(lease) < targetOf(lease) / 4;
}

/**
 * What the next message says about this lease, whose charges of `sending` credits it carries. What the message gives up
 * is given up here, when it is built: the store may grant it to somebody else before we hear of it.
 * `waiting`: costs of the calls in line. `isWanted`: false gives everything back that is not in use.
 */
export function askOf(
  lease: Lease,
  sending: number,
  waiting: readonly number[],
  isWanted: boolean,
  nowMs: number,
): LeaseAsk {
  assert.ok(lease.sending === 0, 'one message at a time');
  assert.ok(sending <= lease.unsent, 'only settled credits are sent');
  measureRate(lease, nowMs);
  const need = waiting[0] ?? 0;
  const inUse = lease.held + lease.unsent - sending;
  // Waiting is not holding: two instances that wait for each other's idle credits would wait for ever.
  const isEmptied = need > 0 || !isWanted || lease.isEmptied;
  // In an outage more may be in use than the store has reserved.
  const keep = isEmptied ? inUse : Math.max(inUse, lease.amount - sending);
  assert.ok(keep >= inUse, 'what is in use is kept');
  lease.sending = sending;
  lease.isEmptied = isEmptied;
  // What it keeps beyond its amount is reserved when the answer is here, and not before.
  lease.amount = Math.min(lease.amount, keep + sending);
  assertSound(lease);
  return {
    user: lease.account.user,
    key: lease.key,
    keep,
    need,
    want: wishOf(lease, waiting, isWanted),
    emptied: isEmptied,
  };
}

function wishOf(lease: Lease, waiting: readonly number[], isWanted: boolean): number {
  if (waiting.length > 0) return Math.max(sumOf(waiting), targetOf(lease));
  return isWanted && isLow(lease) ? Math.max(0, targetOf(lease) - spareOf(lease)) : 0;
}

function targetOf(lease: Lease): number {
  return Math.max(aheadCalls * lease.cost, Math.ceil(aheadSeconds * lease.rate));
}

/** A moving average over the time that a lease is asked for. */
function measureRate(lease: Lease, nowMs: number): void {
  const seconds = (nowMs - lease.askedAtMs) / 1000;
  if (seconds <= 0) return;
  const weight = 1 - Math.exp(-seconds / aheadSeconds);
  lease.rate += (lease.taken / seconds - lease.rate) * weight;
  lease.taken = 0;
  lease.askedAtMs = nowMs;
}

/**
 * The store has done what the last message said, which kept `kept` credits: its charges are posted, the lease is what the
 * answer says.
 */
export function applyAnswer(lease: Lease, kept: number, answer: LeaseAnswer): void {
  assert.ok(answer.amount >= kept, 'a lease is never less than what it keeps');
  lease.unsent -= lease.sending;
  lease.account.unsent -= lease.sending;
  lease.sending = 0;
  lease.amount = answer.amount;
  lease.account.balance = answer.balance;
  if (answer.amount > kept) lease.isEmptied = false;
  endAllowance(lease);
  assertSound(lease);
}

/** In an outage: up to so many credits more may be in use than the store has reserved. */
export function allowMore(lease: Lease, allowance: number): void {
  assert.ok(Number.isSafeInteger(allowance) && allowance >= 0, 'an allowance is a whole number of credits');
  lease.allowance = Math.max(lease.allowance, allowance);
}

/**
 * Nothing is left of an allowance but `present`, that of the outage that is on, and what is in use of one that is over, until the store
 * has reserved that too.
 */
export function endAllowance(lease: Lease, present = 0): void {
  lease.allowance = Math.min(lease.allowance, Math.max(present, excessOf(lease)));
}

/** No answer, or none for this user: the charges stay owed, what was given up stays given up. */
export function forgetMessage(lease: Lease): void {
  lease.sending = 0;
}

/** The store does not take a charge of so many credits, which are not owed any more. */
export function writeOff(lease: Lease, cost: number): void {
  assert.ok(lease.sending === 0, 'nothing is written off while a message is under way');
  lease.unsent -= cost;
  lease.account.unsent -= cost;
  // In an outage more may have been in use than the store had reserved.
  lease.amount = Math.max(0, lease.amount - cost);
  assertSound(lease);
}

/** This instance was fenced: what no call uses may have been granted to another already. */
export function forfeitSpare(lease: Lease): void {
  lease.amount = lease.held + lease.unsent;
  lease.allowance = 0;
  lease.isEmptied = true;
}

/** Credits that the user has left as known here, never negative. */
export function creditsLeft({ balance, held, unsent }: Account): number {
  return Math.max(0, balance - held - unsent);
}

function assertSound(lease: Lease): void {
  assert.ok(lease.held >= 0, 'held credits are never negative');
  assert.ok(lease.sending >= 0 && lease.sending <= lease.unsent, 'what is sent is a part of what is unsent');
  assert.ok(lease.allowance >= 0, 'an allowance is never negative');
  assert.ok(excessOf(lease) <= lease.allowance, 'no more is used than the lease and the allowance of an outage cover');
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
