// The calls that wait in line for one lease. A call waits for the next sync when the lease is spent, and is admitted,
// in the order of arrival, as soon as the lease covers its cost. Only the store says no.

import { TollgateError } from '../errors.ts';
import { creditsLeft, type Lease, takeHold } from './lease.ts';

export interface WaitingCall {
  readonly cost: number;
  readonly sinceMs: number;
  /** The hold has been taken. */
  admit(): void;
  refuse(error: TollgateError): void;
}

export interface Line {
  readonly lease: Lease;
  waiting: WaitingCall[];
  /** Another instance, or an edit by hand, asks for what is idle here. */
  isRecalled: boolean;
  /** The store's last no, remembered so that a flood of refused calls costs it nothing. */
  refusal: { readonly cost: number; readonly short: 'user' | 'key'; readonly untilMs: number } | null;
}

/** For how long the store's no is good, from when it was asked: what comes in the meantime it does not know. */
const refusalKeptMs = 500;
/** How long a call waits for credits that other leases hold before it is told to come again. */
const reservedWaitMaxMs = 1_000;
/** How long a call waits for anything. */
const waitMaxMs = 12_000;

/** Admits calls from the front while the lease covers them. */
export function serveLine(line: Line, nowMs: number): void {
  for (let first = line.waiting[0]; first !== undefined; first = line.waiting[0]) {
    if (!takeHold(line.lease, first.cost, nowMs)) return;
    line.waiting.shift();
    first.admit();
  }
}

/**
 * The store, asked at `askedAtMs`, said no to `cost`: it holds for every call of that cost or more that has come by then, and for a while.
 * Who comes later, as after the process has stood still, is asked for anew.
 */
export function refuseLine(line: Line, cost: number, short: 'user' | 'key', askedAtMs: number): void {
  const untilMs = askedAtMs + refusalKeptMs;
  line.refusal = { cost, short, untilMs };
  removeFrom(
    line,
    (call) => call.cost >= cost && call.sinceMs < untilMs,
    (call) => refusalOf(line.lease, call.cost, short),
  );
}

/** The remembered no for a call of this cost, or null. */
export function rememberedRefusal(line: Line, cost: number, nowMs: number): TollgateError | null {
  const { refusal } = line;
  if (refusal === null || nowMs >= refusal.untilMs || cost < refusal.cost) return null;
  return refusalOf(line.lease, cost, refusal.short);
}

function refusalOf(lease: Lease, cost: number, short: 'user' | 'key'): TollgateError {
  const facts = { required: cost, remaining: creditsLeft(lease.account) };
  return new TollgateError(short === 'user' ? 'TG_CREDITS_INSUFFICIENT' : 'TG_KEY_LIMIT_REACHED', facts);
}

/** Other leases were asked to give back: who has waited long enough is told to come again. */
export function endReservedWaits(line: Line, nowMs: number): void {
  removeFrom(
    line,
    (call) => nowMs - call.sinceMs > reservedWaitMaxMs,
    () => new TollgateError('TG_CREDITS_RESERVED'),
  );
}

/** The store is silent: who has waited too long is told so. */
export function endSilentWaits(line: Line, nowMs: number): void {
  removeFrom(
    line,
    (call) => nowMs - call.sinceMs > waitMaxMs,
    () => new TollgateError('TG_STORE_UNAVAILABLE'),
  );
}

/** As many as the lease covers are admitted, in the order of arrival, and the others refused: who asks for much keeps nobody else out. */
export function serveOrRefuse(line: Line, nowMs: number): void {
  const { waiting } = line;
  line.waiting = [];
  for (const call of waiting) {
    if (takeHold(line.lease, call.cost, nowMs)) call.admit();
    else call.refuse(new TollgateError('TG_STORE_UNAVAILABLE'));
  }
}

/** Nobody waits for a store that is down; only the store says that there are no credits. */
export function refuseAll(line: Line): void {
  removeFrom(
    line,
    () => true,
    () => new TollgateError('TG_STORE_UNAVAILABLE'),
  );
}

function removeFrom(line: Line, isOver: (call: WaitingCall) => boolean, errorOf: (call: WaitingCall) => TollgateError) {
  const over = line.waiting.filter(isOver);
  if (over.length === 0) return;
  line.waiting = line.waiting.filter((call) => !isOver(call));
  for (const call of over) call.refuse(errorOf(call));
}
