// The way to the upstreams: one pool of connections for each, and for each call an exchange that sees what the upstream
// really did. It is the only place that sees it: no hook of the server runs when the caller has left before the answer.
// Nothing is sent twice: a kept-alive connection that turns out closed before anything was sent is replaced by undici.

import type { Duplex, Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Upstream } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import { type Flow, type Sender, UpstreamPool } from './connections.ts';

/** One request to an upstream, and who is told how it goes. */
export interface Errand {
  /** A key of `upstreams`. */
  readonly upstream: string;
  readonly method: string;
  /** Path and query, sent byte for byte. */
  readonly path: string;
  /** Name, value, name, value…: all of the header, `Host` included. */
  readonly fields: string[];
  readonly body: Readable | null;
  /** What the connection is asked to become, such as `websocket`; null for a plain request. */
  readonly protocol: string | null;
  /** Milliseconds between two reads of the answer; 0 is no limit. */
  readonly readTimeout: number;
  readonly watcher: Watcher;
  readonly receiver: Receiver;
}

/** Is told each step of an exchange at most once, in this order; after `onWhole`, `onSwitched` or `onFailed` nothing more. */
export interface Watcher {
  /** `cancel` gives the exchange up: the connection is closed and nothing is told any more. Harmless when it is over. */
  onStart(cancel: () => void): void;
  /** The header of the final answer is here. A watcher that cancels now has the answer kept from the receiver. */
  onStatus(status: number): void;
  onWhole(): void;
  /** The upstream has taken the upgrade. */
  onSwitched(): void;
  onFailed(error: TollgateError): void;
}

/** Gets the answer. Fields are name, value, name, value…, as the upstream sent them, each byte one character. */
export interface Receiver {
  /** An interim answer (1xx) on the way to the final one. */
  onInterim(status: number, fields: readonly string[]): void;
  /** `resume` is to be called when there is room again after `onData` has returned false. */
  onHead(status: number, reason: string, fields: readonly string[], resume: () => void): void;
  /** Whether there is room for more. */
  onData(chunk: Buffer): boolean;
  onEnd(trailers: readonly string[]): void;
  /** From here on the connection to the upstream belongs to the receiver. */
  onSwitched(fields: readonly string[], socket: Duplex): void;
  /** There is no answer, or no more of it. */
  onFailed(error: TollgateError): void;
}

/** Undici's codes for "too slow"; every other failure is "could not be reached". */
const timeoutCodes: ReadonlySet<unknown> = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'ETIMEDOUT']);

/** Undici's codes for a request that cannot be written as HTTP. */
const malformedCodes: ReadonlySet<unknown> = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']);

export class UpstreamDispatcher {
  readonly #pools = new Map<string, UpstreamPool>();

  constructor(upstreams: Readonly<Record<string, Upstream>>) {
    for (const upstream of Object.values(upstreams)) this.#pools.set(upstream.name, new UpstreamPool(upstream));
  }

  /** Runs an errand. What comes of it, failures included, is told to its watcher and its receiver. */
  send(errand: Errand): void {
    const pool = this.#pools.get(errand.upstream);
    if (pool === undefined) throw new Error(`an errand for an unknown upstream, ${errand.upstream}`);
    const { path, fields: headers, body, protocol: upgrade } = errand;
    const method = errand.method as Dispatcher.HttpMethod;
    pool.dispatch({ path, method, headers, body, upgrade }, new Exchange(errand));
  }

  /** Closes every connection; exchanges still open fail. Safe to call twice. */
  async destroy(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }
}

/** One request and its answer, from the connection's side. */
class Exchange implements Sender {
  readonly #errand: Errand;
  #controller: Dispatcher.DispatchController | null = null;
  #flow: Flow | null = null;
  /** Runs while more of the answer is awaited. */
  #readTimer: NodeJS.Timeout | null = null;
  #isOver = false;

  constructor(errand: Errand) {
    this.#errand = errand;
    errand.watcher.onStart(() => this.#cancel());
  }

  /** The connection has been found. */
  onFlow(flow: Flow): void {
    this.#flow = flow;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) abort(controller);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    reason: string | undefined,
  ): void {
    if (this.#isOver) return;
    const { watcher, receiver } = this.#errand;
    const fields = fieldsOf(controller.rawHeaders);
    if (status < 200) {
      receiver.onInterim(status, fields);
      return;
    }
    if (status > 599) {
      this.#fail(new TollgateError('TG_UPSTREAM_UNREACHABLE', {}, new Error(`status ${status} of the upstream`)));
      return;
    }
    watcher.onStatus(status);
    if (this.#isOver) return;
    try {
      receiver.onHead(status, reason ?? '', fields, () => this.#goOn());
      if (status === 304) this.#complete([]);
      else this.#awaitMore();
    } catch (cause) {
      // Whoever waits for the answer has to hear that there is none: undici would keep the error to itself.
      this.#fail(new TollgateError('TG_INTERNAL', {}, cause));
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#errand.receiver.onData(chunk)) {
      this.#awaitMore();
      return;
    }
    this.#flow?.hold();
    this.#awaitNothing();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#isOver) return;
    if (this.#flow?.isBroken) {
      this.#fail(
        new TollgateError('TG_UPSTREAM_UNREACHABLE', {}, new Error('the connection broke, and was not closed')),
      );
      return;
    }
    this.#complete(fieldsOf(controller.rawTrailers));
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    _status: number,
    _headers: unknown,
    socket: Duplex,
  ): void {
    if (this.#isOver) {
      socket.destroy();
      return;
    }
    this.#finish();
    this.#errand.watcher.onSwitched();
    this.#errand.receiver.onSwitched(fieldsOf(controller.rawHeaders), socket);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#isOver) this.#fail(toTollgateError(error));
  }

  #cancel(): void {
    if (this.#isOver) return;
    this.#finish();
    this.#errand.body?.destroy();
    // Without a controller the request still waits for its connection; it is aborted when it gets one.
    if (this.#controller !== null) abort(this.#controller);
  }

  /** A 304 is whole with its header: the length in it is that of the body it does not have (RFC 9110 §15.4.5), which undici misses. */
  #complete(trailers: readonly string[]): void {
    this.#finish();
    this.#errand.watcher.onWhole();
    this.#errand.receiver.onEnd(trailers);
  }

  #fail(error: TollgateError): void {
    this.#finish();
    this.#errand.body?.destroy();
    if (this.#controller !== null) abort(this.#controller);
    this.#errand.watcher.onFailed(error);
    this.#errand.receiver.onFailed(error);
  }

  #finish(): void {
    this.#isOver = true;
    this.#awaitNothing();
    this.#flow?.release();
  }

  /** The caller has room again. */
  #goOn(): void {
    if (this.#isOver) return;
    this.#awaitMore();
    this.#flow?.release();
  }

  #awaitMore(): void {
    const { readTimeout } = this.#errand;
    if (this.#isOver || readTimeout === 0) return;
    if (this.#readTimer !== null) this.#readTimer.refresh();
    else this.#readTimer = setTimeout(() => this.#fail(noMoreFor(readTimeout)), readTimeout);
  }

  #awaitNothing(): void {
    if (this.#readTimer !== null) clearTimeout(this.#readTimer);
    this.#readTimer = null;
  }
}

function noMoreFor(timeoutMs: number): TollgateError {
  return new TollgateError('TG_UPSTREAM_TIMEOUT', {}, new Error(`no more of the answer for ${timeoutMs} ms`));
}

/** Undici hands on what it has read: for HTTP/1.1 a list of buffers. Each byte becomes one character, as in Node's own fields. */
function fieldsOf(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  return Array.isArray(raw) ? raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))) : [];
}

function abort(controller: Dispatcher.DispatchController): void {
  controller.abort(new Error('the gateway gave up the exchange'));
}

function toTollgateError(cause: Error): TollgateError {
  const code = 'code' in cause ? cause.code : undefined;
  if (timeoutCodes.has(code)) return new TollgateError('TG_UPSTREAM_TIMEOUT', {}, cause);
  if (malformedCodes.has(code)) return new TollgateError('TG_REQUEST_MALFORMED', {}, cause);
  return new TollgateError('TG_UPSTREAM_UNREACHABLE', {}, cause);
}
