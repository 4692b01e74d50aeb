// Process of the bench: the load. Asked for a run, it keeps every connection busy for the time given and answers with
// what it saw. Latencies go into a histogram of its own, in microseconds: autocannon's counts whole milliseconds.

import { createHistogram } from 'node:perf_hooks';
import autocannon, { type Client, type Result } from 'autocannon';
import type { Load, LoadOptions } from './load.ts';

const sampleIntervalMs = 100;

process.on('message', (options: LoadOptions) => {
  // An error has no answer: it ends the process, and the bench with it.
  void run(options).then((load) => process.send?.(load));
});
process.on('disconnect', () => process.exit());

async function run({ url, credentials, connections, seconds }: LoadOptions): Promise<Load> {
  const latency = createHistogram();
  let client = 0;
  const options = {
    url,
    connections,
    duration: seconds,
    sampleInt: sampleIntervalMs,
    setupClient: (each: Client) => each.setRequests(shareOf(credentials, client++, connections)),
  };
  // Preparing the requests of many callers takes time, which is not that of whoever is measured.
  let startMs = performance.now();
  const result = await new Promise<Result>((resolve, reject) => {
    const cannon = autocannon(options, (error, result) => (error === null ? resolve(result) : reject(error)));
    cannon.once('start', () => {
      startMs = performance.now();
    });
    cannon.on('response', (_client, _status, _bytes, ms) => latency.record(Math.max(1, Math.round(ms * 1000))));
  });
  return {
    seconds: (performance.now() - startMs) / 1000,
    good: result['2xx'],
    bad: result.non2xx,
    errors: result.errors,
    p50Ms: latency.percentile(50) / 1000,
    p99Ms: latency.percentile(99) / 1000,
  };
}

/** Every n-th caller, or one of them where there are fewer callers than connections. */
function shareOf(credentials: readonly string[], client: number, connections: number) {
  if (credentials.length === 0) return [{ headers: {} }];
  const own = credentials.filter((_, i) => i % connections === client % Math.min(connections, credentials.length));
  return own.map((authorization) => ({ headers: { authorization } }));
}
