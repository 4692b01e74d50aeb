// Runs first in a gateway that is soaked: measures how late the event loop is, and tells it when it is asked.

import { monitorEventLoopDelay } from 'node:perf_hooks';

/** What it answers: since it was asked last. */
export interface Delay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

const resolutionMs = 5;
const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
histogram.enable();

process.on('message', () => {
  // What is recorded is the time from one tick to the next, of which so much is no delay.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolutionMs);
  const delay: Delay = { p99Ms: late(histogram.percentile(99)), maxMs: late(histogram.max) };
  histogram.reset();
  process.send?.(delay);
});
// It must not keep the gateway from ending.
process.channel?.unref();
