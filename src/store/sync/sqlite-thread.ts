// The thread in which the exchange runs on SQLite, seen from who asks: neither a slow disk nor a lock that another process
// holds stops the event loop. A thread that dies is a failure of what it was asked, and the next who asks starts another.

import { Worker } from 'node:worker_threads';
import { type Fault, faultOf } from '../outage.ts';
import type { Report, Statement, Step } from './sqlite-worker.ts';

/** Without an answer for so long the disk does not answer. Longer than the wait for the lock of the file. */
const diskAnswerMaxMs = 10_000;
const silence: Fault = { code: 'ETIMEDOUT', message: 'the disk of the database does not answer' };

interface Waiting {
  readonly id: number;
  readonly kind: Step['kind'];
  readonly resolve: (rows: unknown[][]) => void;
  readonly reject: (error: Error) => void;
  readonly limit: NodeJS.Timeout;
  isGivenUp: boolean;
}

/** What a transaction reads first, and what it writes of it. */
export type ThreadWork<T> = (
  talk: (statements: readonly Statement[]) => Promise<unknown[][]>,
) => Promise<{ result: T; last: readonly Statement[] }>;

export class SqliteThread {
  readonly #file: string;
  readonly #answerMaxMs: number;
  #waiting: readonly Waiting[] = [];
  #thread: { readonly worker: Worker; readonly ended: Promise<void> } | null = null;
  /** Transactions have the one connection in turn. */
  #turn: Promise<unknown> = Promise.resolve();
  #asked = 0;
  #isStuck = false;
  #isClosed = false;

  constructor(file: string, answerMaxMs = diskAnswerMaxMs) {
    this.#file = file;
    this.#answerMaxMs = answerMaxMs;
  }

  /** Starts the thread, so that the first who asks need not wait for it. It holds no process up that nobody asks. */
  begin(): void {
    if (this.#thread !== null || this.#isClosed) return;
    this.#thread = this.#start();
    this.#thread.worker.unref();
  }

  /** One transaction in two steps: `work` reads once through `talk`, and hands back its writes, which are committed. */
  transact<T>(work: ThreadWork<T>): Promise<T> {
    const before = this.#turn;
    const mine = this.#transactInTurn(before, work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  async #transactInTurn<T>(before: Promise<unknown>, work: ThreadWork<T>): Promise<T> {
    if (this.#isClosed) throw new Error('the door to the store is closed');
    await before;
    let isOpen = false;
    try {
      const { result, last } = await work(async (statements) => {
        const rows = await this.#ask('begin', statements);
        isOpen = true;
        return rows;
      });
      isOpen = false;
      await this.#ask('end', last);
      return result;
    } catch (error) {
      if (isOpen) await this.#ask('undo', []);
      throw error;
    }
  }

  async #ask(kind: Step['kind'], statements: readonly Statement[]): Promise<unknown[][]> {
    // What is asked waits in the thread: more of it would only take memory.
    if (this.#isStuck) throw failure(silence);
    this.#thread ??= this.#start();
    const { worker } = this.#thread;
    this.#asked += 1;
    const id = this.#asked;
    const plain = statements.map(({ sql, parameters }) => ({ sql, parameters }));
    worker.postMessage({ id, kind, statements: plain } satisfies Step);
    worker.ref();
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => this.#giveUp(id), this.#answerMaxMs);
      this.#waiting = [...this.#waiting, { id, kind, resolve, reject, limit, isGivenUp: false }];
    });
  }

  #giveUp(id: number): void {
    const waiting = this.#waiting.find((each) => each.id === id);
    if (waiting === undefined) return;
    this.#isStuck = true;
    waiting.isGivenUp = true;
    waiting.reject(failure(silence));
  }

  #start() {
    const worker = new Worker(new URL('./sqlite-worker.js', import.meta.url), { workerData: this.#file });
    let fault: Fault = { code: 'STORE_THREAD_ENDED', message: 'the thread of the database has ended' };
    worker.on('message', (report: Report) => this.#hear(worker, report));
    worker.on('error', (error) => {
      fault = faultOf(error);
    });
    const ended = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        this.#thread = null;
        this.#isStuck = false;
        for (const { id } of this.#waiting) this.#end(id)?.reject(failure(fault));
        resolve();
      });
    });
    return { worker, ended };
  }

  #hear(worker: Worker, { id, ...report }: Report): void {
    this.#isStuck = false;
    const waiting = this.#end(id);
    // Nobody goes on with what was begun too late.
    if (waiting?.isGivenUp && waiting.kind === 'begin' && 'rows' in report) {
      worker.postMessage({ id: 0, kind: 'undo', statements: [] } satisfies Step);
    }
    // A process that nothing else holds up may end.
    if (this.#waiting.length === 0 && !this.#isClosed) worker.unref();
    if ('fault' in report) waiting?.reject(failure(report.fault));
    else waiting?.resolve(report.rows);
  }

  #end(id: number): Waiting | undefined {
    const waiting = this.#waiting.find((each) => each.id === id);
    clearTimeout(waiting?.limit);
    this.#waiting = this.#waiting.filter((each) => each !== waiting);
    return waiting;
  }

  /** The thread closes its connection and ends by itself, once it has carried out what it was asked. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    if (this.#thread === null) return;
    const { worker, ended } = this.#thread;
    worker.ref();
    worker.postMessage(null);
    await ended;
  }
}

/** An error as the driver would have thrown it here: whoever looks at one looks at its code. */
function failure({ code, message, stack }: Fault & { stack?: string }): Error {
  const error = Object.assign(new Error(message), { code });
  if (stack !== undefined) error.stack = stack;
  return error;
}
