// How a meter stands, as metrics, health and operators see it.

/** What the meter looks like from outside: for metrics and health. */
export interface MeterState {
  readonly instance: string;
  readonly isStoreUp: boolean;
  /** The store answers, and what it holds cannot be used. */
  readonly isStoreUnusable: boolean;
  /** Since the store last answered a message; null before it has. */
  readonly secondsSinceSync: number | null;
  readonly holdsOpen: number;
  readonly oldestHoldSeconds: number;
  readonly leasedCredits: number;
  readonly unsentCharges: number;
  readonly oldestUnsentSeconds: number;
  /** What is wrong with the journal, for people; null while it is written. */
  readonly journalFault: string | null;
}
