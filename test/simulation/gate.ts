// A pool of one connection whose transactions can be stopped between what they read and what they write, so that
// another can run in between: on a real database, and in the same way each time.

import type pg from 'pg';

export class Gate {
  readonly pool: pg.Pool;
  /** The process of the server behind the connection. */
  processId = 0;
  #arrived: (() => void) | null = null;
  #opened: Promise<void> | null = null;
  #open: () => void = () => {};

  constructor(pool: pg.Pool) {
    const connect = async () => this.#watched(await pool.connect());
    this.pool = { connect } as unknown as pg.Pool;
  }

  /** From now on what is written waits; the promise says that somebody does. */
  close(): Promise<void> {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
    return new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }

  open(): void {
    this.#opened = null;
    this.#arrived = null;
    this.#open();
  }

  #watched(client: pg.PoolClient): pg.PoolClient {
    this.processId = (client as unknown as { processID: number }).processID;
    let unanswered = 0;
    let hasRead = false;
    let isWriting = false;
    const query = async (config: pg.QueryConfig) => {
      // What comes after the answers to the first round trip is the second one.
      if (hasRead && unanswered === 0) isWriting = true;
      unanswered += 1;
      try {
        if (isWriting && this.#opened !== null) {
          this.#arrived?.();
          await this.#opened;
        }
        return await client.query(config);
      } finally {
        unanswered -= 1;
        hasRead = true;
      }
    };
    return { query, release: (destroy?: boolean) => client.release(destroy) } as unknown as pg.PoolClient;
  }
}
