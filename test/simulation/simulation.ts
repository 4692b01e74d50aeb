// Runs world after world until the time is up or a promise is broken, and says what was seen. A world that broke a promise
// is repeated by its seed alone.

import type { Dialect } from '../helpers/databases.ts';
import type { Violation } from './auditor.ts';
import { drawFrom } from './chance.ts';
import { openStores } from './stores.ts';
import { World, type WorldReport } from './world.ts';

export interface SimulationOptions {
  readonly dialect: Dialect;
  /** Worlds that come first, however long they take. */
  readonly known?: readonly number[];
  /** The seed of the first world after those; the next have the next. */
  readonly seed: number;
  readonly seconds: number;
  /** At most so many worlds. */
  readonly worlds: number;
  /** Prints every step. */
  readonly isLoud?: boolean;
  readonly onProgress?: (worlds: number) => void;
}

export interface SimulationReport {
  readonly dialect: Dialect;
  readonly seed: number;
  readonly worlds: number;
  readonly seconds: number;
  readonly counts: Readonly<Record<string, number>>;
  /** The world in which a promise was broken, or null. */
  readonly broken: {
    readonly seed: number;
    readonly violations: readonly Violation[];
    readonly trace: readonly string[];
  } | null;
}

export async function runSimulation(options: SimulationOptions): Promise<SimulationReport> {
  const { dialect, known = [], seed, seconds, worlds, isLoud = false, onProgress = () => {} } = options;
  const stores = await openStores(dialect);
  let world: World | null = null;
  // The meter lets a book that does not add up end the process: here it ends the world.
  const onError = (error: unknown) => world?.fail(error);
  process.on('unhandledRejection', onError);
  process.on('uncaughtException', onError);
  const counts: Record<string, number> = {};
  const startMs = performance.now();
  let done = 0;
  let longestMs = 0;
  let broken: WorldReport | null = null;
  // A world is not begun that would not end in time.
  const isTimeLeft = () => performance.now() - startMs + longestMs < seconds * 1_000;
  try {
    while (broken === null && done < worlds && (done < Math.max(1, known.length) || isTimeLeft())) {
      const worldSeed = known[done] ?? seed + done - known.length;
      world = new World(worldSeed, stores, isLoud);
      const beganMs = performance.now();
      const letGo = drawFrom(worldSeed);
      const report = await world.run().finally(letGo);
      longestMs = Math.max(longestMs, performance.now() - beganMs);
      done += 1;
      for (const [name, count] of Object.entries(report.counts)) counts[name] = (counts[name] ?? 0) + count;
      counts[report.temper] = (counts[report.temper] ?? 0) + 1;
      if (report.violations.length > 0) broken = report;
      onProgress(done);
    }
  } finally {
    process.off('unhandledRejection', onError);
    process.off('uncaughtException', onError);
    await stores.close();
  }
  return { dialect, seed, worlds: done, seconds: (performance.now() - startMs) / 1_000, counts, broken };
}
