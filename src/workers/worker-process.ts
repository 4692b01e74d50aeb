// One worker as its parent sees it, from its start to its end. The port is shared through the parent (node:cluster): it takes
// the connections and gives them to the workers in turn.

import type { ChildProcess } from 'node:child_process';
import cluster, { type Worker } from 'node:cluster';
import { setTimeout } from 'node:timers/promises';
import type { FilesRead, Report, Told, ToParent, ToWorker } from './messages.ts';

/** A worker that does not answer for so long is reported as one that does not. */
const answerMaxMs = 1_000;
/** How long the last words of one that has ended may take to be read. */
const readMaxMs = 1_000;

/** How a worker ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  /** What it has said went wrong. */
  readonly told: Told | null;
  /** For how long it has served; null when it never did. */
  readonly servedMs: number | null;
}

export interface WorkerEvents {
  ready(address: string): void;
  reported(report: Report): void;
  /** Once, and the last. */
  ended(ending: Ending): void;
}

export class WorkerProcess {
  readonly #worker: Worker;
  readonly #events: WorkerEvents;
  #obstacles: readonly string[] = [];
  #warnings: readonly string[] = [];
  #readyAtMs: number | null = null;
  #told: Told | null = null;
  #isStopping = false;
  #asked: Promise<boolean> | null = null;
  #answer: (hasAnswered: boolean) => void = () => {};

  /** Starts the process as worker `number`. */
  constructor(number: number, files: FilesRead, events: WorkerEvents) {
    this.#events = events;
    this.#worker = cluster.fork();
    this.#worker.on('message', (message: ToParent) => this.#hear(message, { type: 'start', worker: number, files }));
    // Of what is sent to a worker that ends: what is told at its end is enough.
    this.#worker.on('error', () => {});
    void this.#watchEnd();
  }

  /** Of all processes that there were, this alone has it. */
  get id(): number {
    return this.#worker.id;
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  get isReady(): boolean {
    return this.#readyAtMs !== null;
  }

  /** As it told last. */
  get obstacles(): readonly string[] {
    return this.#obstacles;
  }

  /** As it told last. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** Asks for a report. False when none came in time. */
  ask(): Promise<boolean> {
    // One that has not answered yet will not answer sooner when it is asked again.
    if (this.#asked === null) {
      this.#asked = new Promise((resolve) => {
        this.#answer = resolve;
      });
      this.#say({ type: 'ask' });
    }
    return Promise.race([this.#asked, setTimeout(answerMaxMs, false, { ref: false })]);
  }

  stop(): void {
    this.#isStopping = true;
    this.#say({ type: 'stop' });
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  #hear(message: ToParent, start: ToWorker): void {
    // Whoever was told to stop before it could hear anything is told again.
    if (message.type === 'hello') this.#say(this.#isStopping ? { type: 'stop' } : start);
    else if (message.type === 'failed') this.#told = message.told;
    else if (message.type === 'ready') {
      this.#readyAtMs = performance.now();
      this.#events.ready(message.address);
    } else {
      this.#obstacles = message.obstacles;
      this.#warnings = message.warnings;
      this.#events.reported(message);
      if (message.isAnswer) this.#answered(true);
    }
  }

  #answered(hasAnswered: boolean): void {
    this.#asked = null;
    this.#answer(hasAnswered);
  }

  #say(message: ToWorker): void {
    if (this.#worker.isConnected()) this.#worker.send(message, () => {});
  }

  /** The end is here when the process has ended and all that it has said is read. */
  async #watchEnd(): Promise<void> {
    const { process } = this.#worker;
    const closeConnectionsOnTheWay = watchHandover(process);
    const isRead = new Promise<true>((resolve) => process.once('disconnect', () => resolve(true)));
    const [code, signal] = await exitOf(process);
    if (!(await Promise.race([isRead, setTimeout(readMaxMs, false)]))) {
      // With a connection on its way to the worker, Node.js 20 to 24 never says so, and the port could not be closed.
      process.emit('disconnect');
    }
    closeConnectionsOnTheWay();
    this.#answered(false);
    const servedMs = this.#readyAtMs === null ? null : performance.now() - this.#readyAtMs;
    this.#events.ended({ code, signal, told: this.#told, servedMs });
  }
}

function exitOf(process: ChildProcess): Promise<[code: number | null, signal: string | null]> {
  return new Promise((resolve) => {
    process.once('exit', (code, signal) => resolve([code, signal]));
    // No process: the system had none to give.
    if (process.pid === undefined) resolve([1, null]);
  });
}

/**
 * Returns how to close the connections that were on their way to a worker that has ended: node:cluster waits for its word on
 * them for ever, and so would their clients. One at a time and listener is on its way; closing what has arrived does nothing.
 */
function watchHandover(process: ChildProcess): () => void {
  const latest = new Map<unknown, { close(): void }>();
  const send = process.send.bind(process) as (...message: unknown[]) => boolean;
  process.send = (message: { key?: unknown }, handle?: unknown, ...more: unknown[]) => {
    if (isClosable(handle)) latest.set(message.key, handle);
    return send(message, handle, ...more);
  };
  return () => {
    for (const handle of latest.values()) handle.close();
  };
}

function isClosable(handle: unknown): handle is { close(): void } {
  return typeof handle === 'object' && handle !== null && 'close' in handle && typeof handle.close === 'function';
}
