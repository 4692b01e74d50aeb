// The charging rule, as a pure function: a call costs its credits if and only if the upstream answers 2xx and the
// answer is delivered whole, or the caller itself leaves first.

import type { Ending } from '../store/database.ts';

/** How far the exchange with the upstream has come. `switched`: it took the upgrade. `failed` is every other end but a whole answer. */
export type UpstreamProgress = 'idle' | 'pending' | 'whole' | 'switched' | 'failed';

/** Where the caller is. `served`: the answer (any answer) has been handed over whole; `left`: gone before that. */
export type CallerProgress = 'waiting' | 'served' | 'left';

export interface CallFacts {
  /** The status of the upstream's answer; null as long as there is none. */
  readonly status: number | null;
  readonly upstream: UpstreamProgress;
  readonly caller: CallerProgress;
  /** Whether the caller's own body has been taken in whole. */
  readonly isRequestWhole: boolean;
}

export type Outcome = 'settle' | 'release';

/** Whether a status is one that is charged. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/**
 * What becomes of the hold, or null when that is still open. It is never open once the caller is gone, but for one
 * case: the request was sent whole and the upstream has not answered yet; then its status decides.
 */
export function outcomeOf(facts: CallFacts): Outcome | null {
  const { status, upstream, caller } = facts;
  if (upstream === 'switched') return 'settle';
  const isCharged = status !== null && isSuccess(status);
  switch (caller) {
    case 'served':
      // Served without a whole answer: it was the gateway's own answer that the caller got.
      return isCharged && upstream === 'whole' ? 'settle' : 'release';
    case 'left':
      if (upstream === 'failed' || upstream === 'idle') return 'release';
      if (status === null) return facts.isRequestWhole ? null : 'release';
      return isCharged ? 'settle' : 'release';
    case 'waiting':
      if (upstream === 'failed') return 'release';
      return status === null || isCharged ? null : 'release';
  }
}

/** What tells one charged call from another. */
export interface EndingFacts extends Pick<CallFacts, 'upstream' | 'caller'> {
  /** The caller had left before the upstream answered. */
  readonly hasLeftEarly: boolean;
  /** The caller did not read until the limit was over. */
  readonly hasStalled: boolean;
}

/** How a call has ended whose outcome is `settle`: why it is charged. */
export function endingOf({ upstream, caller, hasLeftEarly, hasStalled }: EndingFacts): Ending {
  if (upstream === 'switched') return 'upgraded';
  if (caller === 'served') return 'delivered';
  if (hasStalled) return 'caller-stalled';
  return hasLeftEarly ? 'caller-left-early' : 'caller-left';
}
