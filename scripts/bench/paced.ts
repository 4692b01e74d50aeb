// A load at a fixed rate, as the bench sees it: calls leave evenly, whether the ones before are answered or not. The rate
// of autocannon is none for this: each of its connections makes its calls of a second as fast as it can, then rests.

import { assertGood, type Load, type LoadOptions } from './load.ts';
import { type Program, startProgram } from './programs.ts';

export interface PacedOptions extends LoadOptions {
  /** Calls a second. */
  readonly rate: number;
  /** What is asked for and how, in hundredths; what is missing to a hundred is an ordinary call of the URL. */
  readonly manners?: readonly Manner[];
  /** The first of the credentials to be used. */
  readonly firstCaller?: number;
}

/** A way to call that is not the ordinary one. */
export interface Manner {
  readonly path: string;
  readonly percent: number;
  /** The caller leaves then, whatever has come; null: it stays. */
  readonly leavesAfterMs: number | null;
}

export interface PacedLoad extends Load {
  /** Calls that were made. */
  readonly sent: number;
  /** Calls whose caller left before the answer was whole. */
  readonly left: number;
}

/** Beyond the time of the run: a call that is not answered is given up after ten seconds. */
const graceMs = 20_000;

/** Starts the load at a fixed rate. */
export function startPacedLoad(): Program {
  return startProgram('./paced-worker.js', []);
}

/** Runs it once, and throws when any answer was not 2xx. */
export async function runPacedLoad(load: Program, options: PacedOptions): Promise<PacedLoad> {
  const result = await runUnruly(load, options);
  assertGood(result, options.url);
  return result;
}

/** Runs it once, whatever the answers are: for manners that ask for failures. */
export async function runUnruly(load: Program, options: PacedOptions): Promise<PacedLoad> {
  return (await load.ask(options, options.seconds * 1000 + graceMs)) as PacedLoad;
}
