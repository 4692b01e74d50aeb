// The upstream's answer on its way to the caller. It is written to the connection as it comes, with nothing in between:
// reason phrase, field names, framing by length, interim answers and trailers pass as they are. The header waits for the
// end of the tick in which it came, so that a small answer leaves in one write and one that dies at once leaves none.

import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TollgateError } from '../errors.ts';
import type { Call } from './call.ts';
import type { Receiver } from './dispatcher.ts';
import { cutAnswer } from './due-answers.ts';
import { acceptsTrailers, fieldValue } from './fields.ts';

export interface AnswerParts {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly call: Call;
  /** The fields for the caller, from the upstream's. */
  readonly fieldsFor: (fields: readonly string[]) => string[];
  /** What of an interim answer's fields, or of trailers, is for the caller. */
  readonly passing: (fields: readonly string[]) => string[];
  /** Takes over when the upstream has accepted an upgrade; never called for a request that asks for none. */
  readonly onSwitched: (fields: readonly string[], socket: Duplex) => void;
}

/** Larger bodies are not copied to be made a text. */
const textBytesMax = 4 * 1024;

interface Head {
  readonly status: number;
  readonly reason: string;
  readonly fields: string[];
}

export class Answer implements Receiver {
  readonly #parts: AnswerParts;
  /** Until it is written. */
  #head: Head | null = null;
  /** The first of the body, while the header waits. */
  #start: Buffer | null = null;
  #hasLength = false;
  #resume: () => void = () => {};

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  /** Interim answers are for HTTP/1.1 callers whose turn it is; 100 and 101 are between the gateway and its neighbours. */
  onInterim(status: number, fields: readonly string[]): void {
    const { raw } = this.#parts.reply;
    const { socket } = raw;
    if (status < 102 || socket === null || raw.headersSent || this.#parts.request.raw.httpVersion !== '1.1') return;
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Interim'}`];
    const passing = this.#parts.passing(fields);
    for (let i = 0; i + 1 < passing.length; i += 2) lines.push(`${passing[i]}: ${passing[i + 1]}`);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  }

  onHead(status: number, reason: string, fields: readonly string[], resume: () => void): void {
    this.#hasLength = fieldValue(fields, 'content-length') !== undefined;
    this.#head = { status, reason, fields: this.#parts.fieldsFor(fields) };
    this.#resume = resume;
    process.nextTick(() => this.#flush());
  }

  onData(chunk: Buffer): boolean {
    const { reply, call } = this.#parts;
    // Who listens while sending is not late.
    if (call.uploadStalledSince !== null) call.uploadStalledSince = performance.now();
    if (this.#head !== null && this.#start === null) {
      this.#start = chunk;
      return true;
    }
    this.#writeStart();
    if (reply.raw.write(chunk)) return true;
    this.#awaitCaller();
    reply.raw.once('drain', () => {
      call.answerStalledSince = null;
      this.#resume();
    });
    return false;
  }

  onEnd(trailers: readonly string[]): void {
    const { request, reply, passing } = this.#parts;
    const { raw } = reply;
    const body = this.#start;
    this.#start = null;
    this.#writeHead();
    if (trailers.length > 0 && raw.chunkedEncoding && acceptsTrailers(request.raw)) {
      raw.addTrailers(pairsOf(passing(trailers)));
    }
    // As a text it goes out in one piece with the header.
    if (body !== null && body.length <= textBytesMax) raw.end(body.toString('latin1'), 'latin1');
    else raw.end(body ?? undefined);
    // Until the connection says that all is handed over.
    this.#awaitCaller();
  }

  /** From now on it is the caller's turn to read; of an answer behind others, from its own turn on. */
  #awaitCaller(): void {
    const { reply, call } = this.#parts;
    const { raw } = reply;
    if (raw.socket !== null) call.answerStalledSince = performance.now();
    else raw.once('socket', () => this.#awaitCaller());
  }

  onSwitched(fields: readonly string[], socket: Duplex): void {
    this.#parts.onSwitched(fields, socket);
  }

  /** An answer that has begun is cut, in a way that no client can take for its end. */
  onFailed(error: TollgateError): void {
    const { reply, call } = this.#parts;
    this.#head = null;
    this.#start = null;
    const { raw } = reply;
    if (!raw.headersSent) {
      call.refuse(error);
    } else {
      // Without a length the end of the connection is the end of the answer, unless it is a reset.
      cutAnswer(raw, { isReset: !raw.chunkedEncoding && !this.#hasLength });
    }
  }

  /** The header goes ahead of a body that takes its time, as of events. */
  #flush(): void {
    if (this.#head === null) return;
    this.#writeStart();
    this.#parts.reply.raw.flushHeaders();
  }

  /** The header, and what there is of the body. */
  #writeStart(): void {
    const start = this.#start;
    this.#start = null;
    this.#writeHead();
    if (start !== null) this.#parts.reply.raw.write(start);
  }

  #writeHead(): void {
    if (this.#head === null) return;
    const { status, reason, fields } = this.#head;
    const { reply } = this.#parts;
    this.#head = null;
    reply.hijack();
    reply.raw.writeHead(status, isWritable(reason) ? reason : STATUS_CODES[status], fields);
  }
}

/** Node.js refuses to write other characters into a status line. */
function isWritable(reason: string): boolean {
  return /^[\t\x20-\x7e]*$/.test(reason);
}

function pairsOf(fields: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) pairs.push([fields[i] ?? '', fields[i + 1] ?? '']);
  return pairs;
}
