// The parent of several workers that share the port. It serves no calls; what is there once for all of them is its own: the
// operators' door with the sum of the metrics, the watch over the books.

import cluster from 'node:cluster';
import type { Config } from '../config/config.ts';
import type { MeterState } from '../meter/state.ts';
import { closeMaxMs } from '../meter/sync.ts';
import { DriftWatch } from '../observability/drift.ts';
import { createLogger } from '../observability/logger.ts';
import { Metrics } from '../observability/metrics.ts';
import { createOps } from '../observability/ops.ts';
import { SummedMetrics } from '../observability/summed-metrics.ts';
import { openDatabase } from '../store/database.ts';
import type { FilesRead } from './messages.ts';
import { WorkerPool } from './worker-pool.ts';

export interface Workers {
  /** Ends all workers as a gateway ends, and then the rest. Gives the worst exit code. Safe to call twice. */
  stop(): Promise<number>;
  /** Ends the workers at once. */
  kill(): void;
}

export interface ParentOptions {
  /** What `config` was made of: the workers make it again. */
  readonly files: FilesRead;
  /** Resolves when somebody wants it all to end. */
  readonly stop: Promise<void>;
}

/** How long a worker may take for what has no limit of its own, such as to close its connections to the database. */
const stopSpareMs = 10_000;
/** The parent holds no credits. */
const holdsNothing = {
  holdsOpen: 0,
  oldestHoldSeconds: 0,
  leasedCredits: 0,
  unsentCharges: 0,
  oldestUnsentSeconds: 0,
  journalFault: null,
  isStoreUnusable: false,
  secondsSinceSync: null,
};

/**
 * Starts the workers. Resolves when the first of them serves, or somebody wants it all to end. Throws what stands in the way:
 * a WorkerStartError where a worker met it. Nothing is left open then.
 */
export async function startWorkers(config: Config, { files, stop }: ParentOptions): Promise<Workers> {
  const { server, database: databaseConfig } = config;
  const log = await createLogger(config.log, 1);
  const closers: (() => Promise<unknown>)[] = [];
  let exitCode = 0;
  let stopping: Promise<number> | null = null;
  // The last that was opened is closed first.
  const stopAll = async () => {
    log.info('tollgate is stopping');
    for (const closer of closers.toReversed()) await closer();
    return exitCode;
  };
  const stopOnce = () => {
    stopping ??= stopAll();
    return stopping;
  };
  try {
    const database = openDatabase({ ...databaseConfig, poolSize: 1 });
    closers.push(() => database.close());
    const driftWatch = new DriftWatch(database.db, log);
    closers.push(() => driftWatch.stop());

    const meterState = (): MeterState => ({ ...holdsNothing, instance: '', isStoreUp: pool.hasReady });
    const own = new Metrics({ meterState, ledgerDrift: () => driftWatch.drift });
    const metrics = new SummedMetrics(own.registry);
    const pool = new WorkerPool({
      ...{ count: server.workers, files, metrics, log },
      stopMaxMs: server.drainDelay + server.shutdownTimeout + closeMaxMs + stopSpareMs,
      onAllReady: (address) => log.info({ address, opsAddress, workers: server.workers }, 'tollgate is ready'),
    });
    const ops = createOps({
      registry: async () => {
        await pool.refresh();
        return metrics.registry();
      },
      obstacles: async () => (stopping === null ? pool.obstacles() : ['shutting down']),
      warnings: () => pool.warnings(),
    });
    closers.push(() => ops.close());
    const opsAddress = await ops.listen({ ...config.ops });

    driftWatch.start();
    // The configuration is not theirs to find: they get what it was made of.
    cluster.setupPrimary({ args: ['start'] });
    closers.push(async () => {
      exitCode = await pool.stop();
    });
    await Promise.race([pool.start(), stop]);
    return { stop: stopOnce, kill: () => pool.kill() };
  } catch (error) {
    await stopOnce();
    throw error;
  }
}
