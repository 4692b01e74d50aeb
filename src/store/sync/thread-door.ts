// The door to an SQLite file: a thread of its own, with a connection of its own, carries out what is asked, so that neither
// a slow disk nor a lock that another process holds stops the event loop. A thread that dies is a failure of what it was
// asked, and the next who asks starts another.

import { Worker } from 'node:worker_threads';
import { type Fault, faultOf } from '../outage.ts';
import type { StoreAsks, StoreDoor } from './door.ts';
import type { LockPolicy, SyncAnswer, SyncMessage } from './exchange.ts';
import type { Place, Report } from './worker.ts';

/** Without an answer for so long the disk does not answer. Longer than the wait for the lock of the file. */
const diskAnswerMaxMs = 10_000;
const silence: Fault = { code: 'ETIMEDOUT', message: 'the disk of the database does not answer' };

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly limit: NodeJS.Timeout;
}

export class ThreadDoor implements StoreDoor {
  readonly #place: Place;
  readonly #answerMaxMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #thread: { readonly worker: Worker; readonly ended: Promise<void> } | null = null;
  #asked = 0;
  #isStuck = false;
  #isClosed = false;

  constructor(place: Place, answerMaxMs = diskAnswerMaxMs) {
    this.#place = place;
    this.#answerMaxMs = answerMaxMs;
  }

  register(instance: string): Promise<void> {
    return this.#ask('register', [instance]);
  }

  seqOf(instance: string): Promise<number | null> {
    return this.#ask('seqOf', [instance]);
  }

  exchange(message: SyncMessage, locks: LockPolicy): Promise<SyncAnswer> {
    return this.#ask('exchange', [message, locks]);
  }

  fence(instance: string, seq: number | null): Promise<boolean> {
    return this.#ask('fence', [instance, seq]);
  }

  async #ask<K extends keyof StoreAsks, T>(ask: K, args: Parameters<StoreAsks[K]>): Promise<T> {
    if (this.#isClosed) throw new Error('the door to the store is closed');
    // What is asked waits in the thread: more of it would only take memory.
    if (this.#isStuck) throw failure(silence);
    this.#thread ??= this.#start();
    const { worker } = this.#thread;
    this.#asked += 1;
    const id = this.#asked;
    worker.postMessage({ id, ask, args });
    worker.ref();
    return new Promise<T>((resolve, reject) => {
      const limit = setTimeout(() => this.#stick(reject), this.#answerMaxMs);
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject, limit });
    });
  }

  #stick(reject: Waiting['reject']): void {
    this.#isStuck = true;
    reject(failure(silence));
  }

  #start() {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: this.#place });
    let fault: Fault = { code: 'STORE_THREAD_ENDED', message: 'the thread of the database has ended' };
    worker.on('message', (report: Report) => this.#hear(worker, report));
    worker.on('error', (error) => {
      fault = faultOf(error);
    });
    const ended = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        this.#thread = null;
        this.#isStuck = false;
        for (const id of [...this.#waiting.keys()]) this.#end(id)?.reject(failure(fault));
        resolve();
      });
    });
    return { worker, ended };
  }

  #hear(worker: Worker, { id, ...report }: Report): void {
    this.#isStuck = false;
    const waiting = this.#end(id);
    // A process that nothing else holds up may end.
    if (this.#waiting.size === 0 && !this.#isClosed) worker.unref();
    if ('fault' in report) waiting?.reject(failure(report.fault));
    else waiting?.resolve(report.value);
  }

  #end(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    clearTimeout(waiting?.limit);
    this.#waiting.delete(id);
    return waiting;
  }

  /** The thread closes its connection and ends by itself, once it has carried out what it was asked. */
  async close(): Promise<void> {
    this.#isClosed = true;
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
