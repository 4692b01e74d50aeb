// The dispatcher under @fastify/http-proxy: one pool of connections per upstream, and for each call an exchange that
// sees what the upstream really did. It is the only place that sees it: no hook of the server runs when the caller
// has left before the answer. Nothing here is retried.

import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { buildConnector, type Dispatcher, Pool } from 'undici';
import type { Upstream } from '../config/config.ts';
import { TollgateError } from '../errors.ts';

/** Under this key the header object of reply-from carries the errand, and no field. */
export const errandKey = Symbol('tollgate.errand');

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
  readonly watcher: Watcher;
  /** Answers the caller with an error: there is no answer to hand on. Not by reply-from's callback, which logs a stack. */
  readonly refuse: (error: TollgateError) => void;
}

/** Is told each step of an exchange at most once, in this order; after `onWhole` or `onFailed` nothing more. */
export interface Watcher {
  /** `cancel` gives the exchange up: the connection is closed and nothing is told any more. Harmless when it is over. */
  onStart(cancel: () => void): void;
  /** The header of the final answer is here. A watcher that cancels now is not handed the answer. */
  onStatus(status: number): void;
  onWhole(): void;
  onFailed(error: TollgateError): void;
}

/** What reply-from hands on. */
export interface UpstreamAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

type AnswerCallback = (error: null, answer: UpstreamAnswer) => void;

/** Undici's codes for "too slow"; every other failure is "could not be reached". */
const timeoutCodes: ReadonlySet<unknown> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
]);

/** Undici's codes for a request that cannot be written as HTTP. */
const malformedCodes: ReadonlySet<unknown> = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']);

/** Sends requests to upstreams. Its `request` is the part of undici's interface that reply-from uses. */
export class UpstreamDispatcher {
  readonly #pools = new Map<string, Pool>();

  constructor(upstreams: Readonly<Record<string, Upstream>>) {
    for (const upstream of Object.values(upstreams)) this.#pools.set(upstream.name, openPool(upstream));
  }

  /** Runs the errand that the headers carry. The callback gets the answer as soon as it begins, if one does. */
  request(options: { headers: { [errandKey]?: Errand } }, callback: AnswerCallback): void {
    const errand = options.headers[errandKey];
    const pool = errand && this.#pools.get(errand.upstream);
    if (errand === undefined || pool === undefined) throw new Error('a request without an errand for a known upstream');
    const { path, fields, body } = errand;
    const method = errand.method as Dispatcher.HttpMethod;
    pool.dispatch({ path, method, headers: fields, body }, new Exchange(errand, callback));
  }

  /** Closes every connection; exchanges still open fail. Safe to call twice. */
  async destroy(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }
}

/**
 * Without a limit of connections: each caller's connection has one call in flight, so they are bounded by the
 * callers', while a limit here would make a queue without one.
 */
function openPool(upstream: Upstream): Pool {
  return new Pool(new URL(upstream.url).origin, {
    connections: null,
    pipelining: 1,
    headersTimeout: upstream.responseHeaderTimeout,
    bodyTimeout: upstream.readTimeout,
    connect: openConnector(upstream),
  });
}

/** Connects to the upstream. Its own name is asked for and verified, also where `Host` is the client's. */
function openConnector(upstream: Upstream): buildConnector.connector {
  const connect = buildConnector({
    timeout: upstream.connectTimeout,
    rejectUnauthorized: !upstream.tls.insecureSkipVerify,
    ...(upstream.tls.ca === null ? {} : { ca: upstream.tls.ca }),
  });
  // Left out, the name is that of the upstream; undici would take it from the `Host` of the call.
  return ({ servername: _ofHost, ...options }, callback) => connect(options, callback);
}

/** One request and its answer, from the connection's side. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #errand: Errand;
  readonly #callback: AnswerCallback;
  #controller: Dispatcher.DispatchController | null = null;
  #body: AnswerBody | null = null;
  #isOver = false;

  constructor(errand: Errand, callback: AnswerCallback) {
    this.#errand = errand;
    this.#callback = callback;
    errand.watcher.onStart(() => this.#cancel());
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) abort(controller);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#isOver || status < 200) return;
    if (status > 599) {
      this.#fail(new TollgateError('TG_UPSTREAM_UNREACHABLE', {}, new Error(`status ${status} of the upstream`)));
      abort(controller);
      return;
    }
    this.#errand.watcher.onStatus(status);
    if (this.#isOver) return;
    this.#body = new AnswerBody(controller, () => this.#cancel());
    try {
      this.#callback(null, { statusCode: status, headers, body: this.#body });
    } catch (cause) {
      // An answer that cannot be passed on. Whoever waits for it has to hear so: undici would keep the error to itself.
      this.#fail(new TollgateError('TG_INTERNAL', {}, cause));
      abort(controller);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#body?.push(chunk) === false) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#errand.watcher.onWhole();
    this.#body?.push(null);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#isOver) this.#fail(toTollgateError(error));
  }

  #cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#body?.destroy();
    this.#errand.body?.destroy();
    // Without a controller the request still waits for its connection; it is aborted when it gets one.
    if (this.#controller !== null) abort(this.#controller);
  }

  #fail(error: TollgateError): void {
    this.#isOver = true;
    this.#errand.body?.destroy();
    this.#errand.watcher.onFailed(error);
    if (this.#body === null || error.code === 'TG_INTERNAL') this.#errand.refuse(error);
    this.#body?.destroy(error);
  }
}

/** The body of an answer. Whoever destroys it before its end gives up the exchange. */
class AnswerBody extends Readable {
  readonly #controller: Dispatcher.DispatchController;
  readonly #onDestroy: () => void;

  constructor(controller: Dispatcher.DispatchController, onDestroy: () => void) {
    super();
    this.#controller = controller;
    this.#onDestroy = onDestroy;
  }

  override _read(): void {
    this.#controller.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#onDestroy();
    done(error);
  }
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
