// The load, as the bench sees it: a process that is started once and asked for runs, so that its own warming up is not
// charged to whoever is measured first.

import { type Program, startProgram } from './programs.ts';

export interface LoadOptions {
  readonly url: string;
  /** Values of Authorization, which the connections share out among themselves and use in turns; empty: none is sent. */
  readonly credentials: readonly string[];
  readonly connections: number;
  readonly seconds: number;
}

/** What one run saw. */
export interface Load {
  /** How long it really took. */
  readonly seconds: number;
  /** Answers of 2xx. */
  readonly good: number;
  /** Other answers. */
  readonly bad: number;
  /** Connections that failed and calls that were not answered in time. */
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Beyond the time of the run: autocannon gives a call ten seconds. */
const graceMs = 15_000;

/** So many runs may end without any answer before the load gives up. */
const emptyRunsMax = 20;

/** Starts the load that keeps every connection busy. */
export function startLoad(): Program {
  return startProgram('./load-worker.js', []);
}

/** Runs the load once. Throws when any answer was not 2xx: fast refusals are no speed. */
export async function runLoad(load: Program, options: LoadOptions): Promise<Load> {
  for (let left = emptyRunsMax; ; left--) {
    const result = (await load.ask(options, options.seconds * 1000 + graceMs)) as Load;
    // On a busy machine a run of less than a second may end before the first answer.
    if (result.good + result.bad + result.errors === 0 && left > 0) continue;
    assertGood(result, options.url);
    return result;
  }
}

/** Throws when any answer was not 2xx, or none was. */
export function assertGood({ good, bad, errors }: Load, url: string): void {
  if (bad === 0 && errors === 0 && good > 0) return;
  throw new Error(`${url} gave ${good} answers of 2xx, ${bad} others and ${errors} errors`);
}
