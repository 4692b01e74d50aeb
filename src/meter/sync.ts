// When the books go to the store: the pace of the exchange, one at a time, and what happens when the store is silent,
// when this instance turns out to be fenced, and when another instance has stopped moving.

import type { BaseLogger } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../clock.ts';
import type { SetAside } from '../journal/set-aside.ts';
import { isBadData, isOutage } from '../store/outage.ts';
import type { StoreDoor } from '../store/sync/door.ts';
import { type Change, chargesMax, type LockPolicy, type SyncReply } from '../store/sync/exchange.ts';
import { UsersLockedError } from '../store/sync/transaction.ts';
import type { Books } from './books.ts';
import { forfeitSpare, writeOff } from './lease.ts';
import { endSilentWaits } from './line.ts';
import { Liveness } from './liveness.ts';
import { applyReply, makeMessage, markIdle, type Outgoing, takeBack } from './message.ts';
import type { Outage } from './outage.ts';
import { paceMsOf, restMsAfter, retryMs, retryMsAfter } from './pace.ts';
import { Registration } from './registration.ts';
import { Watch } from './watch.ts';

/** Without a reply for so long nobody's identity can be vouched for. */
const silentAfterMs = 30_000;
/** For how long locked users are passed over once a lock took too long. */
const skipLockedMs = 3_000;
const idleSweepMs = 5_000;
/** How long `close` tries to hand in what is owed. Whoever stops the process has to wait for it. */
export const closeMaxMs = 10_000;
/** The same in an outage: what is in the journal need not wait for its end. */
const closeDownMaxMs = 2_000;

export interface SyncObserver {
  /** `isUp` is false when there was no reply. */
  synced(seconds: number, charges: number, isUp: boolean): void;
  overdrawn(credits: number): void;
  /** Identities that changed; each is told once. */
  changed(changes: readonly Change[]): void;
  /** Cached identities must not be trusted any more: the store has been silent for too long, or too much has changed. */
  silent(): void;
}

export interface SyncOptions {
  /** The id of this process, new with each start. */
  readonly instance: string;
  readonly store: StoreDoor;
  readonly setAside: SetAside;
  readonly clock: Clock;
  readonly log: BaseLogger;
  readonly observer: SyncObserver;
  readonly outage: Outage;
  /** What has to be done in the store before this instance asks it for anything. */
  readonly firstOfAll: () => Promise<void>;
}

/** Owns the timer of the exchange. `start` registers the instance; `close` hands everything in and fences it. */
export class Sync {
  readonly #clock: Clock;
  readonly #books: Books;
  readonly #options: SyncOptions;
  readonly #log: BaseLogger;
  readonly #observer: SyncObserver;
  readonly #outage: Outage;
  readonly #registration: Registration;
  readonly #watch = new Watch();
  readonly liveness: Liveness;
  #instance: string;
  #seq = 0;
  #callOff: (() => void) | null = null;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #running: Promise<void> | null = null;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #restUntilMs = 0;
  #skipLockedUntilMs = 0;
  /** How many charges the next message carries: fewer while one is looked for that the store does not take. */
  #chargesMax = chargesMax;
  #sweptAtMs = 0;
  #isSilent = false;
  #closing: Promise<number> | null = null;
  /** Up to where the store has told what changed; null: it tells that all may have. */
  #mark: string | null = null;

  constructor(books: Books, options: SyncOptions) {
    const { instance, store, clock, log, observer, outage, firstOfAll } = options;
    this.#options = options;
    this.#instance = instance;
    this.#books = books;
    this.#clock = clock;
    this.#log = log;
    this.#observer = observer;
    this.#outage = outage;
    this.#registration = new Registration(store, log, firstOfAll);
    this.liveness = new Liveness(clock);
  }

  /** Where calls are served in an outage, one may be under way already: the instance is registered as soon as it is over. */
  async start(): Promise<void> {
    const startMs = this.#clock.nowMs();
    try {
      await this.#registration.enter(this.#instance);
      this.liveness.answered();
      // From here on it is known what changes: who was looked up before could not be vouched for.
      await this.#exchangeOnce();
    } catch (error) {
      if (!this.#outage.isServed || !isOutage(error)) throw error;
      this.#failed(error, startMs);
    }
    this.schedule();
  }

  /** False while the store is down. */
  get isUp(): boolean {
    return this.liveness.isUp;
  }

  /** Whether a message of this process was ever answered. */
  get hasHeard(): boolean {
    return this.#mark !== null;
  }

  /** Whether the database answers and cannot be used, as when its tables are another program's. */
  get isUnusable(): boolean {
    return this.#registration.isRefused;
  }

  get instance(): string {
    return this.#instance;
  }

  /** Sets the timer to when the next exchange is due; cheap when it is set early enough already. */
  schedule(): void {
    if (this.#running !== null || this.#closing !== null) return;
    const dueMs = Math.max(this.#startedAtMs + paceMsOf(this.#books), this.#restUntilMs);
    if (this.#callOff !== null) {
      if (this.#timerDueMs <= dueMs) return;
      this.#callOff();
    }
    this.#timerDueMs = dueMs;
    this.#callOff = this.#clock.after(Math.max(0, dueMs - this.#clock.nowMs()), () => this.#run());
  }

  #run(): void {
    this.#callOff = null;
    this.#running = this.#exchangeOnce().finally(() => {
      this.#running = null;
      this.schedule();
    });
  }

  async #exchangeOnce(): Promise<void> {
    const startMs = this.#clock.nowMs();
    this.#startedAtMs = startMs;
    if (this.isUp && startMs - this.#sweptAtMs > idleSweepMs) {
      this.#sweptAtMs = startMs;
      markIdle(this.#books, startMs);
    }
    this.#seq += 1;
    const sender = { instance: this.#instance, seq: this.#seq, charges: this.#chargesMax, isUp: this.isUp };
    const outgoing = makeMessage(this.#books, sender, startMs);
    const answer = await this.#ask(outgoing, startMs);
    // Outside of what may fail: a book that does not add up must not be taken for a store that is down.
    if (answer === null) return;
    this.#outage.hear(answer, startMs);
    this.#heard(outgoing, answer, this.#clock.nowMs());
  }

  /** Sends a message. Null when there is nothing to work in: no answer, or this instance had to begin anew. */
  async #ask(outgoing: Outgoing, startMs: number): Promise<SyncReply | null> {
    const locks: LockPolicy = startMs < this.#skipLockedUntilMs ? 'skip' : 'wait';
    const endWatch = this.liveness.asked(() => this.#hangs());
    try {
      await this.#registration.enter(this.#instance);
      const answer = await this.#options.store.exchange({ ...outgoing.message, since: this.#mark }, locks);
      const tookMs = this.#clock.nowMs() - startMs;
      this.#restUntilMs = startMs + tookMs + restMsAfter(tookMs);
      this.#observer.synced(tookMs / 1000, outgoing.charges.length, true);
      if (!answer.stale) {
        this.#chargesMax = Math.min(chargesMax, this.#chargesMax * 2);
        return answer;
      }
      this.liveness.answered();
      this.#beginAnew();
    } catch (error) {
      if (isBadData(error) && outgoing.charges.length > 0) {
        takeBack(this.#books, outgoing);
        this.#narrowDown(outgoing, error as Error);
        return null;
      }
      // What is locked although locked users were passed over is no user: to wait for it is to wait for the store.
      if (error instanceof UsersLockedError && locks === 'wait')
        this.#skipLockedUntilMs = this.#clock.nowMs() + skipLockedMs;
      else this.#failed(error, startMs);
    } finally {
      endWatch();
    }
    takeBack(this.#books, outgoing);
    return null;
  }

  /** The store does not take one of these charges: half of them are tried next, and one that is alone is set aside. */
  #narrowDown({ charges }: Outgoing, why: Error): void {
    this.#chargesMax = Math.ceil(charges.length / 2);
    const [first] = charges;
    if (charges.length > 1 || first === undefined) return;
    this.#options.setAside.add(first.charge, `the database does not take it: ${why.message}`);
    writeOff(first.line.lease, first.charge.cost);
    this.#books.owed.remove(charges);
  }

  #heard(outgoing: Outgoing, reply: SyncReply, nowMs: number): void {
    const { failures, silentMs } = this.liveness;
    this.liveness.answered();
    if (failures > 0) this.#log.info({ failures }, 'the store answers again');
    // What a process that was stopped for long has missed may be cleared away by now, and nothing has failed.
    if (silentMs > silentAfterMs) this.#observer.silent();
    this.#isSilent = false;
    applyReply(this.#books, outgoing, reply, nowMs);
    this.#outage.end();
    // Users whose row is locked elsewhere wait on; not for ever.
    for (const line of outgoing.lines.keys()) endSilentWaits(line, nowMs);
    if (reply.gone.length > 0)
      this.#log.warn({ users: reply.gone }, 'charges of users that no longer exist were booked');
    if (reply.overdraft > 0) this.#observer.overdrawn(reply.overdraft);
    this.#mark = reply.mark;
    if (reply.changes === null) this.#observer.silent();
    else if (reply.changes.length > 0) this.#observer.changed(reply.changes);
    for (const { id, seq } of this.#watch.stopped(reply.instances, this.#instance, nowMs)) void this.#fence(id, seq);
  }

  #failed(error: unknown, startMs: number): void {
    const nowMs = this.#clock.nowMs();
    this.liveness.failed();
    const { failures, silentMs } = this.liveness;
    this.#restUntilMs = nowMs + retryMsAfter(failures, nowMs - startMs, this.#instance);
    this.#observer.synced((nowMs - startMs) / 1000, 0, false);
    const unsent = this.#books.owed.size;
    this.#log.warn({ err: error, failures, unsent }, 'the store does not answer; charges are kept');
    if (this.isUp) for (const line of this.#books.lines.values()) endSilentWaits(line, nowMs);
    else this.#serveWaiting(nowMs);
    if (!this.#isSilent && silentMs > silentAfterMs) {
      this.#isSilent = true;
      this.#observer.silent();
    }
  }

  /** Nobody waits on for an answer that takes so long. */
  #hangs(): void {
    this.#log.warn('the store takes long to answer; calls are served without it as far as they may');
    this.#serveWaiting(this.#clock.nowMs());
  }

  #serveWaiting(nowMs: number): void {
    for (const line of this.#books.lines.values()) if (line.waiting.length > 0) this.#outage.serve(line, nowMs);
  }

  /** Fenced: this process was taken for dead. It goes on as a new instance, which claims what is in use here. */
  #beginAnew(): void {
    const fenced = this.#instance;
    for (const { lease } of this.#books.lines.values()) forfeitSpare(lease);
    this.#instance = uuidv7();
    this.#books.owed.journal.rename(this.#instance);
    this.#seq = 0;
    // An instance that the store does not know may be the sign of a restored database.
    this.#mark = null;
    for (const line of this.#books.lines.values()) this.#books.dirty.add(line);
    this.#log.warn({ fenced, instance: this.#instance }, 'this instance was fenced and goes on as a new one');
  }

  async #fence(id: string, seq: number | null): Promise<void> {
    try {
      const isFenced = await this.#options.store.fence(id, seq);
      if (isFenced && id !== this.#instance) {
        this.#log.warn({ instance: id }, 'an instance has stopped and was fenced; its leases are free');
      }
    } catch (error) {
      this.#log.warn({ err: error, instance: id }, 'an instance that has stopped could not be fenced yet');
    }
  }

  /** Hands in every charge, then fences the instance, which frees its leases. Returns how many charges are left. */
  close(): Promise<number> {
    this.#closing ??= this.#handIn();
    return this.#closing;
  }

  async #handIn(): Promise<number> {
    this.#callOff?.();
    await this.#running;
    const { owed } = this.#books;
    const untilMs = this.#clock.nowMs() + (this.isUp ? closeMaxMs : closeDownMaxMs);
    while (owed.size > 0 && this.#clock.nowMs() < untilMs) {
      const before = owed.size;
      await this.#exchangeOnce();
      if (owed.size === before) await new Promise<void>((resolve) => void this.#clock.after(retryMs, resolve));
    }
    // When this fails the others fence us in a while, as if we had died.
    if (owed.size === 0) await this.#fence(this.#instance, null);
    return owed.size;
  }
}
