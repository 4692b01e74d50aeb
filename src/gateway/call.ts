// One call from its hold to its outcome. Facts arrive from both sides, the upstream's and the caller's, in any order;
// after each of them the charging rule is asked again, and its first answer settles or releases the hold, once. Logs
// and metrics read the facts as `request.call`.

import type { Route } from '../config/config.ts';
import type { Member } from '../crowd.ts';
import { TollgateError } from '../errors.ts';
import type { Caller, Hold, Meter } from '../meter/meter.ts';
import type { Watcher } from './dispatcher.ts';
import {
  type CallerProgress,
  type CallFacts,
  type EndingFacts,
  endingOf,
  isSuccess,
  type Outcome,
  outcomeOf,
  type UpstreamProgress,
} from './outcome.ts';

/** What a call needs of the meter. */
export type CallMeter = Pick<Meter, 'hold' | 'settle' | 'release' | 'remaining' | 'free'>;

/** What a call is made of. `hold` is null where the call costs nothing, `user` on a public route. */
export interface CallParts {
  readonly route: Route;
  readonly user: Caller | null;
  readonly hold: Hold | null;
  readonly meter: CallMeter;
  /** Whether the caller's own body has been taken in whole by now. */
  readonly isRequestWhole: () => boolean;
  /** Answers the caller with an error, or returns false when an answer has begun. */
  readonly answerWith: (error: TollgateError) => boolean;
  /** Closes the connection to the caller. */
  readonly disconnect: () => void;
}

export class Call implements CallFacts, EndingFacts, Watcher, Member {
  readonly route: Route;
  readonly user: Caller | null;
  readonly hold: Hold | null;
  /** Of the upstream's answer; null as long as there is none. */
  status: number | null = null;
  upstream: UpstreamProgress = 'idle';
  caller: CallerProgress = 'waiting';
  hasLeftEarly = false;
  hasStalled = false;
  /** `free`: there was nothing to settle or release. Null while the call is open. */
  outcome: Outcome | 'free' | null = null;
  /** `performance.now()`, in milliseconds, of the dispatch and of the upstream's header. */
  upstreamStartedAt: number | null = null;
  upstreamHeadersAt: number | null = null;
  /** For the log: what went wrong with the upstream. It may name an address. */
  upstreamError: string | null = null;
  /** Credits the caller has left once this call is over, as far as its end is known; null without a hold. */
  remaining: number | null = null;

  /** `performance.now()` since when the caller has not read what was written to it; null while it keeps up. */
  answerStalledSince: number | null = null;
  /** `performance.now()` since when the caller has owed more of its body; null while it does not. */
  uploadStalledSince: number | null = null;

  /** Among the open calls. */
  place = -1;

  readonly #meter: CallMeter;
  readonly #isRequestWhole: () => boolean;
  readonly #answerWith: (error: TollgateError) => boolean;
  readonly #disconnect: () => void;
  #cancel: (() => void) | null = null;
  #onOutcome: (() => void)[] = [];

  constructor(parts: CallParts) {
    this.route = parts.route;
    this.user = parts.user;
    this.hold = parts.hold;
    this.#meter = parts.meter;
    this.#isRequestWhole = parts.isRequestWhole;
    this.#answerWith = parts.answerWith;
    this.#disconnect = parts.disconnect;
  }

  get isRequestWhole(): boolean {
    return this.#isRequestWhole();
  }

  /** Credits that the call takes if it ends as its status promises. */
  get cost(): number {
    if (this.hold === null || this.status === null || this.upstream === 'failed') return 0;
    return this.upstream === 'switched' || isSuccess(this.status) ? this.hold.cost : 0;
  }

  /** Id of the ledger entry; null unless the call was charged. */
  get chargeId(): string | null {
    return this.hold !== null && this.outcome === 'settle' ? this.hold.chargeId : null;
  }

  /** Calls back once the outcome is known: at once when it is. */
  whenResolved(callback: () => void): void {
    if (this.outcome === null) this.#onOutcome.push(callback);
    else callback();
  }

  onStart(cancel: () => void): void {
    this.#cancel = cancel;
    this.upstream = 'pending';
    this.upstreamStartedAt = performance.now();
  }

  onStatus(status: number): void {
    this.status = status;
    this.upstreamHeadersAt = performance.now();
    this.#countRemaining();
    this.#advance();
  }

  onWhole(): void {
    this.upstream = 'whole';
    this.#advance();
  }

  onSwitched(): void {
    this.status = 101;
    this.upstream = 'switched';
    this.upstreamHeadersAt = performance.now();
    this.#countRemaining();
    this.#advance();
  }

  onFailed(error: TollgateError): void {
    this.upstream = 'failed';
    this.upstreamError = describeCause(error);
    this.#countRemaining();
    this.#advance();
  }

  /** The caller's side is over: with an answer handed over whole, or without. */
  onCallerClosed(isServed: boolean): void {
    if (this.caller !== 'waiting') return;
    this.caller = isServed ? 'served' : 'left';
    this.hasLeftEarly = !isServed && this.status === null;
    this.#advance();
  }

  /** The gateway cuts the call, which is not charged. `why` is for the log. */
  giveUp(why: string): void {
    if (this.outcome === null) this.upstreamError ??= why;
    this.onOwnAnswer();
    this.#disconnect();
  }

  /** Answers with an error in place of the upstream's answer; an answer that has begun is cut. Costs nothing. */
  refuse(error: TollgateError): void {
    if (this.caller !== 'waiting' || this.#answerWith(error)) return;
    this.onOwnAnswer();
    this.#disconnect();
  }

  /**
   * Ends what the caller has kept waiting beyond the route's limit: who does not read has left, and pays for a success;
   * who does not send has made no call.
   */
  endStall(nowMs: number): void {
    const limitMs = this.route.readTimeout;
    if (limitMs === 0 || this.caller !== 'waiting') return;
    if (this.answerStalledSince !== null && nowMs - this.answerStalledSince > limitMs) {
      this.hasStalled = true;
      this.onCallerClosed(false);
      this.#disconnect();
    } else if (this.uploadStalledSince !== null && nowMs - this.uploadStalledSince > limitMs) {
      this.refuse(new TollgateError('TG_REQUEST_TIMEOUT'));
    }
  }

  /** The gateway answers with an error of its own, so whatever the upstream says is not delivered. */
  onOwnAnswer(): void {
    if (this.upstream === 'failed') return;
    this.upstream = 'failed';
    this.#countRemaining();
    this.#advance();
    this.#cancel?.();
  }

  /** Asked while the hold is open: afterwards nobody knows what "without this hold" means. */
  #countRemaining(): void {
    if (this.hold !== null && this.outcome === null) this.remaining = this.#meter.remaining(this.hold, this.cost > 0);
  }

  #advance(): void {
    const outcome = this.outcome === null ? outcomeOf(this) : null;
    if (outcome !== null) this.#resolve(outcome);
    // Nobody is left to deliver to, and nothing more to learn.
    if (this.caller === 'left' && this.outcome !== null) this.#cancel?.();
  }

  #resolve(outcome: Outcome): void {
    const { hold, user } = this;
    this.outcome = hold === null ? 'free' : outcome;
    if (hold === null) {
      if (user !== null) this.#meter.free(user, this.route.name, outcome === 'release');
    } else if (outcome === 'settle') {
      this.#meter.settle(hold, this.status ?? 0, endingOf(this));
    } else {
      this.#meter.release(hold);
    }
    for (const tell of this.#onOutcome.splice(0)) tell();
  }
}

function describeCause(error: TollgateError): string {
  const { cause } = error;
  if (!(cause instanceof Error)) return error.code;
  return 'code' in cause && typeof cause.code === 'string' ? `${cause.code}: ${cause.message}` : cause.message;
}
