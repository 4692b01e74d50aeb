// The metrics of several processes as one. Each process tells its own from time to time. What one that has ended had counted
// is kept, because a counter must not go back; what its gauges said ends with it.

import { AggregatorRegistry, type Registry } from 'prom-client';

/** All metrics of a process at a moment. */
export type Snapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

export class SummedMetrics {
  readonly #own: Registry;
  /** Process → what it told last. */
  readonly #latest = new Map<number, Snapshot>();
  /** What those that have ended had counted, soon as one. */
  readonly #ended: Snapshot[] = [];

  /** `own`: of the process that sums. With it every metric is there, whoever lives. */
  constructor(own: Registry) {
    this.#own = own;
  }

  told(process: number, snapshot: Snapshot): void {
    this.#latest.set(process, snapshot);
  }

  async ended(process: number): Promise<void> {
    const last = this.#latest.get(process) ?? [];
    this.#latest.delete(process);
    // Its types call `type` a number; it is the name of the type.
    this.#ended.push(last.filter(({ type }) => String(type) !== 'gauge'));
    const parts = [...this.#ended];
    const sum = await AggregatorRegistry.aggregate(parts).getMetricsAsJSON();
    // Another may have ended meanwhile, and been added up earlier.
    if (parts.every((part, i) => part === this.#ended[i])) this.#ended.splice(0, parts.length, sum);
  }

  /** The sum of this moment. */
  async registry(): Promise<Registry> {
    const own = await this.#own.getMetricsAsJSON();
    return AggregatorRegistry.aggregate([own, ...this.#ended, ...this.#latest.values()]);
  }
}
