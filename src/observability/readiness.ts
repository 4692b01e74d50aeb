// Whether a gateway should get calls, and what an operator should look at: pure.

import type { MeterState } from '../meter/state.ts';

export interface ReadinessFacts {
  readonly state: Pick<MeterState, 'isStoreUp' | 'isStoreUnusable' | 'journalFault'>;
  readonly isClosing: boolean;
  /** Whether calls are served while the store is down, and somebody is known who could make them. */
  readonly isServedWhenDown: boolean;
}

/** Why it should get no calls for the moment; empty when it should. */
export function obstaclesOf({ state, isClosing, isServedWhenDown }: ReadinessFacts): string[] {
  return [...(isClosing ? ['shutting down'] : []), ...(isServedWhenDown ? [] : storeTroublesOf(state))];
}

/** What is wrong although calls are served; empty when all is well. */
export function warningsOf({ state, isServedWhenDown }: ReadinessFacts): string[] {
  const { journalFault } = state;
  const ofJournal = journalFault === null ? [] : [`the journal cannot be written: ${journalFault}`];
  return [...(isServedWhenDown ? storeTroublesOf(state) : []), ...ofJournal];
}

const unusable = 'the database cannot be used: the log says why';
const silent = 'the database does not answer';

function storeTroublesOf({ isStoreUp, isStoreUnusable }: ReadinessFacts['state']): string[] {
  if (isStoreUp) return [];
  return [isStoreUnusable ? unusable : silent];
}

/** Whether an obstacle, whoever has it, is that the database is down. */
export function isStoreTrouble(obstacle: string): boolean {
  return obstacle.endsWith(unusable) || obstacle.endsWith(silent);
}
