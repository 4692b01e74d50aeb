// How often the books go to the store: pure. Often enough that nobody waits for long, seldom enough that a store in trouble
// gets well again.

import { chargesMax } from '../store/sync/exchange.ts';
import type { Books } from './books.ts';

/** The shortest time between the starts of two exchanges: with calls in line, with charges, with nothing to say. */
const waitingPaceMs = 10;
const chargesPaceMs = 50;
const heartbeatMs = 500;
/** After an exchange that took longer than `slowMs` the pause is as long as it took, at most `pauseMaxMs`. */
const slowMs = 100;
const pauseMaxMs = 1_000;
/** The first pause after a failure; it doubles up to `pauseMaxMs`. */
export const retryMs = 50;

export function paceMsOf({ waitingCalls, owed, dirty }: Books): number {
  if (waitingCalls > 0 || owed.size >= chargesMax) return waitingPaceMs;
  return owed.size > 0 || dirty.size > 0 ? chargesPaceMs : heartbeatMs;
}

/** How long to rest after an exchange of `tookMs`. */
export function restMsAfter(tookMs: number): number {
  return tookMs > slowMs ? Math.min(tookMs, pauseMaxMs) : 0;
}

/**
 * How long to rest after so many failures in a row, the last of `tookMs`. Each instance has a share of its own, by the random
 * end of its id: those that lost the store at the same time do not come back at the same time.
 */
export function retryMsAfter(failures: number, tookMs: number, instance: string): number {
  const share = 0.75 + Number.parseInt(instance.slice(-4), 16) / 0x2_0000;
  const pauseMs = Math.min(pauseMaxMs, retryMs * 2 ** Math.min(failures - 1, 10));
  return Math.max(share * pauseMs, restMsAfter(tookMs));
}
