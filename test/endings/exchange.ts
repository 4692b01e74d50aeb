// One call of the random endings, from both sides: what the caller sends and hears, and the request as the upstream
// got it. Each side can wait for the other, so that no ending is left to chance.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RawAnswer } from '../helpers/raw-answer.ts';
import { until } from '../helpers/until.ts';
import { Wire } from '../helpers/wire.ts';

export interface CallTarget {
  readonly port: number;
  readonly path: string;
  readonly key: string;
  /** By which the upstream knows the call, and the ledger too. */
  readonly requestId: string;
}

export class Exchange {
  /** The upstream's side, once it was asked. */
  request: IncomingMessage | null = null;
  response: ServerResponse | null = null;
  /** Bytes of the body that have reached the upstream. */
  uploaded = 0;
  readonly wire: Wire;
  readonly #target: CallTarget;

  constructor(target: CallTarget) {
    this.#target = target;
    this.wire = Wire.to(target.port);
  }

  /** Sends the header of a request, and what follows it. */
  send(method: string, fields: readonly string[] = [], body = ''): this {
    const { path, key, requestId } = this.#target;
    const lines = [
      `${method} ${path} HTTP/1.1`,
      'Host: h',
      `X-Api-Key: ${key}`,
      `X-Request-Id: ${requestId}`,
      ...fields,
    ];
    this.wire.send(`${lines.join('\r\n')}\r\n\r\n${body}`);
    return this;
  }

  /** The answer, whole, and a check of its status. */
  async answered(status: number, method = 'GET'): Promise<RawAnswer> {
    const answer = await this.wire.answer(method);
    if (answer.status !== status) throw new Error(`${answer.statusLine} instead of ${status}: ${answer.body}`);
    return answer;
  }

  /** The connection ends before there is a whole answer. */
  async cut(): Promise<void> {
    const isWhole = await this.wire.answer().then(
      () => true,
      () => false,
    );
    if (isWhole) throw new Error(`a whole answer: ${this.wire.received}`);
  }

  /** The upstream has the request. */
  async asked(): Promise<ServerResponse> {
    const response = await until(
      () => this.response,
      (found) => found !== null,
    );
    if (response === null) throw new Error('the upstream was not asked');
    return response;
  }

  /** So many bytes of the body are with the upstream. */
  async hasUploaded(bytes: number): Promise<void> {
    await until(
      () => this.uploaded,
      (uploaded) => uploaded >= bytes,
    );
  }

  /** Leaves without a word. */
  leave(): void {
    this.wire.leave();
  }

  /** Leaves, and comes back once the gateway has had the time to see it: another call has gone through since. */
  async leaveSeen(): Promise<void> {
    this.leave();
    await this.wire.waitForClose();
    const other = Wire.to(this.#target.port).send('GET /_tollgate/nothing HTTP/1.1', 'Host: h', '', '');
    await other.answer();
    other.leave();
  }

  /** What the upstream gets, noted; its body is read where the ending wants that. */
  take(request: IncomingMessage, response: ServerResponse, isBodyRead: boolean): void {
    this.request = request;
    this.response = response;
    response.on('error', () => {});
    request.on('error', () => {});
    if (isBodyRead) {
      request.on('data', (chunk: Buffer) => {
        this.uploaded += chunk.length;
      });
    }
  }
}
