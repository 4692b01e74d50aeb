// Process of the bench: the load. Asked for a run, it keeps every connection busy for the time given and answers with
// what it saw. Latencies go into a histogram of its own, in microseconds: autocannon's counts whole milliseconds.

import { createHistogram } from 'node:perf_hooks';
import autocannon, { type Result } from 'autocannon';
import type { Load, LoadOptions } from './load.ts';

const sampleIntervalMs = 100;

process.on('message', (options: LoadOptions) => {
  // An error has no answer: it ends the process, and the bench with it.
  void run(options).then((load) => process.send?.(load));
});
process.on('disconnect', () => process.exit());

async function run({ url, headers, connections, seconds }: LoadOptions): Promise<Load> {
  const latency = createHistogram();
  const options = { url, headers, connections, duration: seconds, sampleInt: sampleIntervalMs };
  const result = await new Promise<Result>((resolve, reject) => {
    const cannon = autocannon(options, (error, result) => (error === null ? resolve(result) : reject(error)));
    cannon.on('response', (_client, _status, _bytes, ms) => latency.record(Math.max(1, Math.round(ms * 1000))));
  });
  return {
    seconds: result.duration,
    good: result['2xx'],
    bad: result.non2xx,
    errors: result.errors,
    p50Ms: latency.percentile(50) / 1000,
    p99Ms: latency.percentile(99) / 1000,
  };
}
