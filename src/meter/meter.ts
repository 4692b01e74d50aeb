// The meter: holds credits for a call before it is forwarded, and turns the hold into a charge or gives it back when the
// call has ended. A hold that the lease covers costs no I/O. Every hold ends exactly once, by settle or by release; the
// charge's id is made here, before anything is forwarded, so that it can be booked once whatever fails.

import { strict as assert } from 'node:assert';
import type { BaseLogger } from 'pino';
import type { Clock } from '../clock.ts';
import { Crowd, type Member } from '../crowd.ts';
import { type ErrorCode, TollgateError } from '../errors.ts';
import type { Fallback } from '../fallback/fallback.ts';
import { newId } from '../ids.ts';
import type { Adoption } from '../journal/adoption.ts';
import type { InstanceFolder } from '../journal/folder.ts';
import type { Ending } from '../store/database.ts';
import type { Charge } from '../store/sync/exchange.ts';
import { hourOf } from '../store/sync/statements.ts';
import { type Books, countCall, lineOf } from './books.ts';
import { creditsLeft, releaseHold, settleHold, takeHold } from './lease.ts';
import { type Line, rememberedRefusal, serveLine } from './line.ts';
import { hasNews } from './message.ts';
import type { Outage } from './outage.ts';
import type { MeterState } from './state.ts';
import type { Sync, SyncObserver } from './sync.ts';

/** Who pays. `request.user` satisfies it. */
export interface Caller {
  readonly userId: string;
  /** The API key that was used, or null. */
  readonly keyId: string | null;
  readonly hasKeyLimit: boolean;
}

export interface Call {
  /** Credits, a whole number above 0. */
  readonly cost: number;
  readonly route: string;
  readonly requestId: string;
}

/** Credits that one call in flight has reserved. */
export interface Hold extends Caller, Call {
  /** Becomes the id of the ledger entry if the call is charged. */
  readonly chargeId: string;
  readonly takenAtMs: number;
}

/** A hold as the meter has it. */
interface OpenHold extends Hold, Member {
  readonly line: Line;
}

export interface MeterObserver extends SyncObserver {
  charged(charge: Charge): void;
  refused(caller: Caller, call: Call, code: ErrorCode, creditsLeft: number): void;
  /** A charge that cannot be booked was put aside for people to look into. */
  setAside(): void;
  /** A call was admitted while the store was down. */
  admittedWhileDown(): void;
}

/** Calls in line beyond this are refused. */
const waitingMax = 10_000;

interface Means {
  readonly observer: MeterObserver;
  readonly log: BaseLogger;
  readonly clock: Clock;
}

/** What a meter is made of; it closes them. */
export interface Parts {
  readonly books: Books;
  readonly sync: Sync;
  readonly adoption: Adoption;
  readonly folder: InstanceFolder;
  readonly outage: Outage;
  /** Null where nothing of callers is kept. */
  readonly keeper: Pick<Fallback, 'close'> | null;
}

export class Meter {
  readonly #books: Books;
  readonly #sync: Sync;
  readonly #adoption: Adoption;
  readonly #folder: InstanceFolder;
  readonly #keeper: Parts['keeper'];
  readonly #observer: MeterObserver;
  readonly #log: BaseLogger;
  readonly #clock: Clock;
  readonly #outage: Outage;
  readonly #open = new Crowd<OpenHold>();
  #isClosing = false;
  #closing: Promise<number> | null = null;

  constructor({ books, sync, adoption, folder, outage, keeper }: Parts, means: Means) {
    this.#books = books;
    this.#sync = sync;
    this.#adoption = adoption;
    this.#folder = folder;
    this.#keeper = keeper;
    this.#observer = means.observer;
    this.#log = means.log;
    this.#clock = means.clock;
    this.#outage = outage;
  }

  /**
   * Holds the cost of a call. At once when the lease covers it; else a promise that the next exchanges answer.
   * Throws or rejects with TG_CREDITS_INSUFFICIENT, TG_KEY_LIMIT_REACHED (facts: required, remaining),
   * TG_CREDITS_RESERVED, TG_STORE_UNAVAILABLE, TG_OVERLOADED or TG_SHUTTING_DOWN. The caller may be gone when the
   * promise is answered: whoever awaits it checks, and releases.
   */
  hold(caller: Caller, call: Call): Hold | Promise<Hold> {
    const nowMs = this.#clock.nowMs();
    const obstacle = this.#obstacle();
    if (obstacle !== null) throw this.#refused(caller, call, new TollgateError(obstacle));
    const line = lineOf(this.#books, caller.userId, keyOf(caller), nowMs);
    const { isUp } = this.#sync;
    if (!isUp) this.#outage.serve(line, nowMs);
    const mayHold = line.waiting.length === 0 && nowMs < this.#books.holdsEndAtMs && (isUp || this.#outage.isServed);
    if (mayHold && takeHold(line.lease, call.cost, nowMs)) return this.#admit(line, caller, call, nowMs);
    const refusal = rememberedRefusal(line, call.cost, nowMs);
    if (refusal !== null) throw this.#refused(caller, call, refusal);
    if (!isUp) throw this.#refused(caller, call, new TollgateError('TG_STORE_UNAVAILABLE'));
    if (this.#books.waitingCalls >= waitingMax) throw this.#refused(caller, call, new TollgateError('TG_OVERLOADED'));
    return this.#wait(line, caller, call, nowMs);
  }

  #obstacle(): ErrorCode | null {
    if (this.#isClosing) return 'TG_SHUTTING_DOWN';
    const { owed } = this.#books;
    if (owed.journal.isFull) return 'TG_JOURNAL_FULL';
    if (owed.journal.fault === null) return null;
    return owed.isMemoryFull || !this.#sync.isUp ? 'TG_JOURNAL_FULL' : null;
  }

  #wait(line: Line, caller: Caller, call: Call, nowMs: number): Promise<Hold> {
    return new Promise((resolve, reject) => {
      this.#books.waitingCalls += 1;
      line.waiting.push({
        cost: call.cost,
        sinceMs: nowMs,
        admit: () => {
          this.#books.waitingCalls -= 1;
          resolve(this.#admit(line, caller, call, this.#clock.nowMs()));
        },
        refuse: (error) => {
          this.#books.waitingCalls -= 1;
          reject(this.#refused(caller, call, error));
        },
      });
      this.#books.dirty.add(line);
      this.#sync.schedule();
    });
  }

  #admit(line: Line, { userId, keyId, hasKeyLimit }: Caller, call: Call, takenAtMs: number): Hold {
    const { cost, route, requestId } = call;
    const hold = { chargeId: newId(), userId, keyId, hasKeyLimit, cost, route, requestId, takenAtMs, line, place: -1 };
    this.#open.add(hold);
    if (!this.#sync.isUp) this.#observer.admittedWhileDown();
    return hold;
  }

  #refused(caller: Caller, call: Call, error: TollgateError): TollgateError {
    if (error.status === 402) this.#count(caller.userId, call.route, 'refused');
    this.#observer.refused(caller, call, error.code, this.credits(caller));
    return error;
  }

  /** The call succeeded with this status, and ended in this way: its hold becomes a charge. */
  settle(hold: Hold, status: number, ended: Ending): void {
    const line = this.#end(hold);
    settleHold(line.lease, hold.cost);
    const { chargeId: id, userId: user, keyId: key, cost, route, requestId } = hold;
    const at = this.#clock.date().toISOString();
    const charge: Charge = { id, user, key, cost, route, status, ended, requestId, at };
    this.#books.owed.add(charge, line);
    this.#observer.charged(charge);
    this.#sync.schedule();
  }

  /** The call ended in a way that costs nothing: its hold is given back. */
  release(hold: Hold): void {
    const line = this.#end(hold);
    releaseHold(line.lease, hold.cost);
    if (line.lease.allowance > 0) this.#outage.released(line);
    this.#count(hold.userId, hold.route, 'failed');
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#books.holdsEndAtMs) serveLine(line, nowMs);
    if (!hasNews(line)) return;
    this.#books.dirty.add(line);
    this.#sync.schedule();
  }

  #end(hold: Hold): Line {
    assert.ok(this.#open.delete(hold as OpenHold), 'a hold ends exactly once');
    return (hold as OpenHold).line;
  }

  /** Counts a call on a route of cost 0. */
  free(caller: Caller, route: string, isFailed: boolean): void {
    this.#count(caller.userId, route, isFailed ? 'failed' : 'calls');
  }

  #count(user: string, route: string, kind: 'calls' | 'failed' | 'refused'): void {
    countCall(this.#books, user, route, hourOf(this.#clock.date().toISOString()), kind);
  }

  /** Credits that the caller has left as known here, never negative. Without `charged` this hold is left out. */
  remaining(hold: Hold, charged: boolean): number {
    assert.ok((hold as OpenHold).place >= 0, 'asked while the hold is open');
    const { balance, held, unsent } = (hold as OpenHold).line.lease.account;
    return Math.max(0, balance - unsent - held + (charged ? 0 : hold.cost));
  }

  /** Credits that a caller has left as known here; 0 for one who has not called. */
  credits(caller: Caller): number {
    const account = this.#books.accounts.get(caller.userId);
    return account === undefined ? 0 : creditsLeft(account);
  }

  /** Credits that a user's calls in flight hold here, and the balance where charges on their way make it better known than in the store; else null. */
  standing(userId: string): { held: number; credits: number | null } {
    const account = this.#books.accounts.get(userId);
    if (account === undefined) return { held: 0, credits: null };
    const { held, unsent, balance } = account;
    return { held, credits: unsent === 0 ? null : balance - unsent };
  }

  /** False while the store is down: nothing is gained by asking it. */
  get isStoreUp(): boolean {
    return this.#sync.isUp;
  }

  state(): MeterState {
    const nowMs = this.#clock.nowMs();
    let leasedCredits = 0;
    for (const { lease } of this.#books.lines.values()) leasedCredits += lease.amount;
    const oldestHoldAtMs = this.#open.values().reduce((oldest, hold) => Math.min(oldest, hold.takenAtMs), nowMs);
    const [oldestOwed] = this.#books.owed.values();
    return {
      instance: this.#sync.instance,
      isStoreUp: this.#sync.isUp,
      isStoreUnusable: this.#sync.isUnusable,
      secondsSinceSync: this.#sync.liveness.secondsSinceAnswer,
      holdsOpen: this.#open.size,
      oldestHoldSeconds: (nowMs - oldestHoldAtMs) / 1000,
      leasedCredits,
      unsentCharges: this.#books.owed.size + this.#adoption.charges,
      journalFault: this.#books.owed.journal.fault,
      oldestUnsentSeconds: oldestOwed === undefined ? 0 : (nowMs - oldestOwed.settledAtMs) / 1000,
    };
  }

  /**
   * Takes no more holds and hands in every charge; call it when all calls have ended. Returns how many charges the store
   * did not take: they stay in the journal, for the next who starts. Safe to call twice.
   */
  close(): Promise<number> {
    this.#isClosing = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<number> {
    const [own, adopted] = await Promise.all([this.#sync.close(), this.#adoption.stop()]);
    const { journal } = this.#books.owed;
    journal.close();
    await this.#keeper?.close();
    this.#folder.discard();
    const left = own + adopted;
    if (left === 0) return 0;
    const { fault } = journal;
    if (fault === null || own === 0)
      this.#log.warn({ charges: left }, 'charges stay in the journal: the next start hands them in');
    else
      this.#log.error({ charges: left, fault }, 'charges could not be handed in and are in no journal: they are lost');
    return left;
  }
}

function keyOf({ keyId, hasKeyLimit }: Caller): string {
  return hasKeyLimit && keyId !== null ? keyId : '';
}
