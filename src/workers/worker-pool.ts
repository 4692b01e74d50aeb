// The workers of this process: so many, each replaced when it ends, until they are told to stop.

import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isStoreTrouble } from '../observability/readiness.ts';
import type { SummedMetrics } from '../observability/summed-metrics.ts';
import { livedLongMs, pauseBefore } from './back-off.ts';
import type { FilesRead, Told } from './messages.ts';
import { WorkerStartError } from './start-error.ts';
import { type Ending, WorkerProcess } from './worker-process.ts';

export interface PoolOptions {
  readonly count: number;
  readonly files: FilesRead;
  readonly metrics: SummedMetrics;
  readonly log: Logger;
  /** How long workers may take to end once they are told to. */
  readonly stopMaxMs: number;
  /** Every worker has come to serve; called once. */
  readonly onAllReady: (address: string) => void;
}

/** The place of a worker, and of those that come after it. */
interface Seat {
  readonly number: number;
  process: WorkerProcess | null;
  hasServed: boolean;
  /** Endings in a row. */
  endings: number;
  timer: NodeJS.Timeout | null;
}

export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #seats: readonly Seat[];
  #isStopping = false;
  /** The worst of those that were told to stop. */
  #exitCode = 0;
  #onFirstReady: () => void = () => {};
  #onStartFailed: (error: WorkerStartError) => void = () => {};
  #onEmpty: (isEmpty: true) => void = () => {};

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#seats = Array.from({ length: options.count }, (_, i) => {
      return { number: i + 1, process: null, hasServed: false, endings: 0, timer: null };
    });
  }

  /** Starts all. Resolves when the first of them serves; rejects with a WorkerStartError when one ends before any did. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onFirstReady = resolve;
      this.#onStartFailed = reject;
      for (const seat of this.#seats) this.#fill(seat);
    });
  }

  get hasReady(): boolean {
    return this.#seats.some(({ process }) => process?.isReady);
  }

  /** Has all that serve report; those that do not answer within a second are left as they reported last. */
  async refresh(): Promise<void> {
    await Promise.all(this.#seats.map(({ process }) => process?.isReady && process.ask()));
  }

  /** Why calls should go elsewhere for the moment. */
  async obstacles(): Promise<string[]> {
    const told = await Promise.all(this.#seats.map(obstaclesOf));
    // In an outage one that knows nobody turns all away; those beside it need not.
    const isServed = told.some((obstacles) => obstacles.length === 0);
    return told.flat().filter((obstacle) => !isServed || !isStoreTrouble(obstacle));
  }

  /** What an operator should look at, as the workers told last. */
  warnings(): string[] {
    return this.#seats.flatMap(({ number, process }) =>
      (process?.warnings ?? []).map((warning) => `worker ${number}: ${warning}`),
    );
  }

  /** Tells all to stop, and waits for them. Gives the worst exit code. */
  async stop(): Promise<number> {
    const { stopMaxMs, log } = this.#options;
    const isEmpty = new Promise<true>((resolve) => {
      this.#onEmpty = resolve;
    });
    this.#isStopping = true;
    for (const { timer, process } of this.#seats) {
      if (timer !== null) clearTimeout(timer);
      process?.stop();
    }
    this.#tellWhenEmpty();
    if (await Promise.race([isEmpty, wait(stopMaxMs, false, { ref: false })])) return this.#exitCode;
    log.error({ stopMaxMs }, 'workers have not ended in time and are killed');
    this.kill();
    await isEmpty;
    return this.#exitCode;
  }

  /** Ends all at once, whatever they do. */
  kill(): void {
    for (const { process } of this.#seats) process?.kill();
  }

  #fill(seat: Seat): void {
    const { metrics, files } = this.#options;
    const process = new WorkerProcess(seat.number, files, {
      ready: (address) => this.#ready(seat, address),
      reported: (report) => metrics.told(process.id, report.metrics),
      ended: (ending) => {
        seat.process = null;
        void metrics.ended(process.id);
        if (this.#isStopping) this.#stopped(seat, ending);
        else if (this.#seats.some(({ hasServed }) => hasServed)) this.#replace(seat, process.pid, ending);
        else this.#onStartFailed(new WorkerStartError(ending.told ?? untold(ending)));
      },
    });
    seat.process = process;
  }

  #ready(seat: Seat, address: string): void {
    const haveAll = () => this.#seats.every(({ hasServed }) => hasServed);
    const hadAll = haveAll();
    seat.hasServed = true;
    this.#onFirstReady();
    if (!hadAll && haveAll()) this.#options.onAllReady(address);
  }

  #replace(seat: Seat, pid: number | undefined, { code, signal, told, servedMs }: Ending): void {
    if ((servedMs ?? 0) >= livedLongMs) seat.endings = 0;
    seat.endings += 1;
    const pauseMs = pauseBefore(seat.endings);
    const why = told === null ? {} : { error: told.message };
    this.#options.log.error(
      { worker: seat.number, pid, code, signal, ...why, pauseMs },
      'a worker has ended and is replaced',
    );
    seat.timer = setTimeout(() => this.#fill(seat), pauseMs);
  }

  #stopped({ number: worker }: Seat, { code, signal, told, servedMs }: Ending): void {
    // One that was ended before it served, as by the Ctrl-C that reached it too, had nothing to lose.
    const exitCode = code ?? (servedMs === null ? 0 : 1);
    this.#exitCode = Math.max(this.#exitCode, exitCode);
    if (exitCode !== 0)
      this.#options.log.error({ worker, code, signal, error: told?.message }, 'a worker has ended badly');
    this.#tellWhenEmpty();
  }

  #tellWhenEmpty(): void {
    if (this.#seats.every(({ process }) => process === null)) this.#onEmpty(true);
  }
}

function untold({ code, signal }: Ending): Told {
  const how = signal === null ? `ended with ${code}` : `was ended by ${signal}`;
  const message = `A worker ${how} before any could serve. What it has printed, or the system's log, says why.`;
  return { code: 'WORKER_ENDED', message, exitCode: 1 };
}

async function obstaclesOf({ number, process, hasServed }: Seat): Promise<string[]> {
  if (!process?.isReady) return [`worker ${number} ${hasServed ? 'has ended and starts again' : 'is starting'}`];
  if (!(await process.ask())) return [`worker ${number} does not answer`];
  return process.obstacles.map((obstacle) => `worker ${number}: ${obstacle}`);
}
