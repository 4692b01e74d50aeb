// Process of the bench: the load at a fixed rate. What is due is sent each millisecond, and waits for a connection where
// all are busy, which counts as time of the call. Some callers leave, where the manners say so.

import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, Pool } from 'undici';
import type { Manner, PacedLoad, PacedOptions } from './paced.ts';

const tickMs = 1;
const callMaxMs = 10_000;
/** Calls that may be open at once: beyond that whoever is measured cannot keep the rate, and latencies say nothing. */
const openMax = 20_000;

process.on('message', (options: PacedOptions) => {
  // An error has no answer: it ends the process, and the bench with it.
  void run(options).then((load) => process.send?.(load));
});
process.on('disconnect', () => process.exit());

/** What is counted while it runs. */
interface Counts {
  good: number;
  bad: number;
  errors: number;
  left: number;
  open: number;
}

async function run(options: PacedOptions): Promise<PacedLoad> {
  const { url, credentials, connections, seconds, rate, manners = [], firstCaller = 0 } = options;
  const pool = new Pool(new URL(url).origin, { connections, headersTimeout: callMaxMs, bodyTimeout: callMaxMs });
  const latency = createHistogram();
  const counts: Counts = { good: 0, bad: 0, errors: 0, left: 0, open: 0 };
  const usual: Manner = { path: new URL(url).pathname, percent: 100, leavesAfterMs: null };
  const wheel = wheelOf(manners, usual);
  const startMs = performance.now();
  let sent = 0;
  for (let elapsedMs = 0; elapsedMs < seconds * 1000; elapsedMs = performance.now() - startMs) {
    for (const due = (elapsedMs / 1000) * rate; sent < due; sent++) {
      const authorization = credentials[(firstCaller + sent) % credentials.length];
      const { path, leavesAfterMs } = wheel[sent % wheel.length] ?? usual;
      const headers = authorization === undefined ? {} : { authorization };
      pool.dispatch({ path, method: 'GET', headers }, new CallWatch(counts, latency, leavesAfterMs));
    }
    if (counts.open > openMax) throw new Error(`${url} cannot keep up with ${rate} calls a second`);
    await sleep(tickMs);
  }
  const tookSeconds = (performance.now() - startMs) / 1000;
  // It comes back once every call has ended, be it by its limit.
  await pool.close();
  const { good, bad, errors, left } = counts;
  const [p50Ms, p99Ms] = [latency.percentile(50) / 1000, latency.percentile(99) / 1000];
  return { seconds: tookSeconds, sent, good, bad, errors, left, p50Ms, p99Ms };
}

/** A hundred calls, the odd ones spread out among the usual ones. */
function wheelOf(manners: readonly Manner[], usual: Manner): Manner[] {
  const odd = manners.flatMap((manner) => Array.from({ length: manner.percent }, () => manner));
  const step = 100 / Math.max(1, odd.length);
  const wheel = Array.from({ length: 100 }, () => usual);
  for (const [i, manner] of odd.entries()) wheel[Math.floor(i * step)] = manner;
  return wheel;
}

/** Sees one call through, from the moment that it is due. */
class CallWatch implements Dispatcher.DispatchHandler {
  readonly #counts: Counts;
  readonly #latency: ReturnType<typeof createHistogram>;
  readonly #leavesAfterMs: number | null;
  readonly #dueMs = performance.now();
  #leaving: NodeJS.Timeout | undefined;
  #hasLeft = false;
  #status = 0;

  constructor(counts: Counts, latency: ReturnType<typeof createHistogram>, leavesAfterMs: number | null) {
    this.#counts = counts;
    this.#latency = latency;
    this.#leavesAfterMs = leavesAfterMs;
    counts.open += 1;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#leavesAfterMs === null) return;
    this.#leaving = setTimeout(() => {
      this.#hasLeft = true;
      controller.abort(new Error('the caller has left'));
    }, this.#leavesAfterMs);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    this.#end();
    this.#latency.record(Math.max(1, Math.round((performance.now() - this.#dueMs) * 1000)));
    if (this.#status >= 200 && this.#status <= 299) this.#counts.good += 1;
    else this.#counts.bad += 1;
  }

  onResponseError(): void {
    this.#end();
    if (this.#hasLeft) this.#counts.left += 1;
    else this.#counts.errors += 1;
  }

  #end(): void {
    clearTimeout(this.#leaving);
    this.#counts.open -= 1;
  }
}
