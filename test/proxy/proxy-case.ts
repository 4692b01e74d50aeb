// A case of the proxy suite: one promise, and how it is kept or broken by whatever proxy it is asked of.

import { setTimeout } from 'node:timers/promises';
import { Rig } from './rig.ts';
import type { OpenSubject, SubjectOptions } from './subject.ts';

export interface ProxyCase {
  /** The promise, as a sentence. It names the case. */
  readonly name: string;
  readonly options?: SubjectOptions;
  /** How many of its calls are charged, where the case is about that too. Only Tollgate is asked. */
  readonly charges?: number;
  /** Keeps the promise, or rejects. */
  run(rig: Rig): Promise<void>;
}

/**
 * Runs a case from nothing to nothing. Rejects when the promise is broken, when that is not decided within the limit, or
 * when the proxy is not in order afterwards.
 */
export async function runCase({ run, options = {} }: ProxyCase, limitMs: number, open: OpenSubject): Promise<void> {
  const rig = new Rig((upstreamUrl) => open(upstreamUrl, options));
  const done = new AbortController();
  try {
    await Promise.race([run(rig), failAfter(limitMs, done.signal)]);
  } finally {
    done.abort();
    await rig.close();
  }
}

async function failAfter(limitMs: number, signal: AbortSignal): Promise<void> {
  await setTimeout(limitMs, undefined, { signal }).catch(() => {});
  if (!signal.aborted) throw new Error(`neither kept nor broken after ${limitMs} ms`);
}
