// A connection that speaks bytes, from either end: what is sent goes out as it is, what came is kept. One character is
// one byte (Latin-1).

import { connect, type Socket } from 'node:net';
import { type RawAnswer, readAnswer } from './raw-answer.ts';
import { until } from './until.ts';

export class Wire {
  /** All that came. */
  received = '';
  isClosed = false;
  /** Whether the other side has broken the connection instead of closing it. */
  wasReset = false;
  /** The statuses of the interim answers that `answer` has passed over. */
  readonly interim: number[] = [];
  readonly socket: Socket;
  #taken = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.received += text;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.wasReset = error.code === 'ECONNRESET';
    });
    socket.once('close', () => {
      this.isClosed = true;
    });
  }

  /** Connects to a port of the loopback. */
  static to(port: number): Wire {
    return new Wire(connect(port, '127.0.0.1'));
  }

  /** Sends the lines with CRLF between them. */
  send(...lines: string[]): this {
    this.socket.write(lines.join('\r\n'), 'latin1');
    return this;
  }

  /** Waits for a text to arrive, and returns all that did. Throws when the connection closes without it. */
  async waitFor(text: string): Promise<string> {
    await until(
      () => this.received,
      (received) => received.includes(text) || this.isClosed,
    );
    if (this.received.includes(text)) return this.received;
    throw new Error(`closed without ${JSON.stringify(text)} after ${JSON.stringify(this.received.slice(-500))}`);
  }

  /** Waits for the end of the connection, and returns all that came before. */
  async waitForClose(): Promise<string> {
    await until(
      () => this.isClosed,
      (isClosed) => isClosed,
    );
    return this.received;
  }

  /** Waits for the next answer that is not interim, whole. Throws when the connection closes without one. */
  async answer(method = 'GET'): Promise<RawAnswer> {
    for (;;) {
      const next = await until(
        () => readAnswer(this.received.slice(this.#taken), { method, isOver: this.isClosed }),
        (answer) => answer !== null || this.isClosed,
      );
      if (next === null) throw new Error(`closed without a whole answer: ${JSON.stringify(this.received.slice(-500))}`);
      this.#taken += next.length;
      if (next.status >= 200 || next.status === 101) return next;
      this.interim.push(next.status);
    }
  }

  /** Leaves without a word. */
  leave(): void {
    this.socket.destroy();
  }
}
