// What a row of the table is: something between the load and the upstream that can be started and stopped. What it needs
// for the whole bench (a database, a folder) is made once; the process measured is new in each round.

import type { Ground } from './ground.ts';

export interface Setting {
  /** URL of the upstream. */
  readonly upstream: string;
  /** The cores of what is measured, or null when it may use any. */
  readonly core: string | null;
}

/** What is measured in one round. */
export interface Subject {
  readonly url: string;
  /** Values of Authorization, one for each caller; empty: callers need none. */
  readonly credentials: readonly string[];
  /** The process measured, with its children; null when there is none between load and upstream. */
  readonly pid: number | null;
  /** Stops it and returns how many calls it has charged, or null when it charges none. */
  stop(): Promise<number | null>;
}

export type Start = (setting: Setting) => Promise<Subject>;

/** What the ledger must hold: `exact` a charge for each answer; `about` also where callers that left pay nothing. */
export type Books = 'exact' | 'about';

export interface Row {
  readonly title: string;
  /** The row that it is compared with; `bare` where nothing is said. */
  readonly baseline?: string;
  /** What is called; `/` where nothing is said. */
  readonly path?: string;
  /** Whether it gets two cores where there are enough. */
  readonly isPair?: boolean;
  /** How many processes there are to be warmed up, where it is not one. */
  readonly processes?: number;
  readonly books?: Books;
  open(ground: Ground): Promise<Start>;
}
