// The connections to one upstream: kept alive, verified, and forgiving where undici is not.

import type { Socket } from 'node:net';
import { buildConnector, Client, type Dispatcher } from 'undici';
import type { Upstream } from '../config/config.ts';

/** The most that the header of an upstream's answer may take, in bytes. */
const headerBytesMax = 64 * 1024;

/** Who sends a request and gets its answer. */
export interface Sender extends Dispatcher.DispatchHandler {
  /** Told the flow of the connection that takes the request, before it does. */
  onFlow(flow: Flow): void;
}

/**
 * As many connections as there are calls in flight: each caller's connection has one of them, so they are bounded by the
 * callers', while a limit here would make a queue without one. Not undici's own pool, which looks through all of its
 * connections for each request, and takes one for busy for good when a request cannot be written.
 */
export class UpstreamPool {
  readonly #upstream: Upstream;
  readonly #clients: UpstreamClient[] = [];
  /** Those without a request; the last has been used last. */
  readonly #idle: UpstreamClient[] = [];
  #isDestroyed = false;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  /** Runs a request. What comes of it, failures included, is told to its sender. */
  dispatch(options: Dispatcher.DispatchOptions, sender: Sender): void {
    const client = this.#idle.pop() ?? this.#open();
    client.isIdle = false;
    sender.onFlow(client.begin());
    client.dispatch(options, sender);
    // A request that cannot be written has failed by now, and nothing else tells that its connection is free.
    if (client.stats.size === 0) this.#free(client);
  }

  /** Closes every connection; requests still open fail. Safe to call twice. */
  async destroy(): Promise<void> {
    this.#isDestroyed = true;
    await Promise.all(this.#clients.map((client) => client.destroy()));
  }

  #open(): UpstreamClient {
    const client = new UpstreamClient(this.#upstream);
    if (this.#isDestroyed) void client.destroy();
    client.on('drain', () => this.#free(client));
    this.#clients.push(client);
    return client;
  }

  #free(client: UpstreamClient): void {
    if (client.isIdle) return;
    client.isIdle = true;
    this.#idle.push(client);
  }
}

/** One connection at a time, with one request at a time on it. */
class UpstreamClient extends Client {
  isIdle = false;
  readonly #flow: Flow;

  constructor(upstream: Upstream) {
    const flow = new Flow();
    super(new URL(upstream.url).origin, {
      pipelining: 1,
      maxHeaderSize: headerBytesMax,
      headersTimeout: upstream.responseHeaderTimeout,
      // The time between two reads is the exchange's to watch: only it knows when it is the caller who is late.
      bodyTimeout: 0,
      connect: openConnector(upstream, (socket) => flow.watch(socket)),
    });
    this.#flow = flow;
  }

  /** The next request goes out on it. */
  begin(): Flow {
    this.#flow.begin();
    return this.#flow;
  }
}

/** Connects to the upstream. Its own name is asked for and verified, also where `Host` is the client's. */
function openConnector(upstream: Upstream, onSocket: (socket: Socket) => void): buildConnector.connector {
  const connect = buildConnector({
    timeout: upstream.connectTimeout,
    rejectUnauthorized: !upstream.tls.insecureSkipVerify,
    ...(upstream.tls.ca === null ? {} : { ca: upstream.tls.ca }),
  });
  // Left out, the name is that of the upstream; undici would take it from the `Host` of the call.
  return ({ servername: _ofHost, ...options }, callback) =>
    connect(options, (...result) => {
      const [, socket] = result;
      if (socket) onSocket(socket);
      callback(...result);
    });
}

const continueStart = /^HTTP\/1\.[01] 100[ \r]/;
const continueStartLength = 'HTTP/1.1 100 '.length;

/**
 * What a connection lets its parser read. It can be held while the caller reads nothing: undici's own way to pause ends
 * the process when the upstream closes in the meantime (undici issue 5360, mended for newer Node.js alone). And it takes
 * `100 Continue` out: the gateway asks for none, but a server may send it, and a client has to put up with it (RFC 9110
 * §15.2); undici ends the connection instead.
 */
export class Flow {
  /** Whether the connection broke, instead of being closed: what its end would have completed is not whole then. */
  isBroken = false;
  #socket: Socket | null = null;
  #isHeld = false;
  #isHeaderAwaited = false;
  #start: Buffer | null = null;

  /** The connection has been opened, or opened anew. */
  watch(socket: Socket): void {
    readBeforeFailing(socket);
    const read = socket.read.bind(socket);
    this.#socket = socket;
    this.#start = null;
    this.isBroken = false;
    socket.prependListener('error', () => {
      this.isBroken = true;
    });
    // Node.js reads by the same function to find the end, which undici is not to hear of before it has read the rest.
    socket.read = (size?: number) => {
      if (this.#isHeld) return null;
      const chunk: Buffer | null = read(size);
      return chunk === null || !this.#isHeaderAwaited ? chunk : this.#filter(chunk);
    };
  }

  /** A request goes out, and its answer is awaited. */
  begin(): void {
    this.#isHeld = false;
    this.#isHeaderAwaited = true;
  }

  /** Nothing more is read; beyond what the system takes in, the upstream has to wait. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Goes on reading, once undici is done with what it reads now. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    process.nextTick(() => this.#socket?.emit('readable'));
  }

  /** Null when nothing is left for now; the start of a header may be kept until it can be told what it is. */
  #filter(chunk: Buffer): Buffer | null {
    if (this.#start === null && isOfFinalAnswer(chunk)) {
      this.#isHeaderAwaited = false;
      return chunk;
    }
    let rest = this.#start === null ? chunk : Buffer.concat([this.#start, chunk]);
    this.#start = null;
    for (;;) {
      const start = rest.toString('latin1', 0, continueStartLength);
      const isShort = rest.length < continueStartLength && 'HTTP/1.1 100 '.startsWith(start);
      if (!isShort && !continueStart.test(start)) break;
      const end = isShort ? -1 : rest.indexOf('\r\n\r\n');
      if (end === -1) {
        if (rest.length > headerBytesMax) break;
        this.#start = rest.length === 0 ? null : rest;
        return null;
      }
      rest = rest.subarray(end + 4);
    }
    this.#isHeaderAwaited = false;
    return rest;
  }
}

/** Whether the start of a header says so without a closer look: its status does not begin with 1. */
function isOfFinalAnswer(chunk: Buffer): boolean {
  return chunk.length >= continueStartLength && chunk[continueStartLength - 4] !== 0x31;
}

/** How long a connection that cannot be written to is still read. */
const lastWordsMs = 1_000;

/**
 * A failed write does not end the connection yet: an upstream that refuses an upload answers and closes, and its answer
 * may still be there to be read (RFC 9112 §9.6). When there is nothing, reading fails as well, and at once.
 */
function readBeforeFailing(socket: Socket): void {
  const late = (callback: (error?: Error | null) => void) => (error?: Error | null) => {
    if (error) setTimeout(callback, lastWordsMs, error).unref();
    else callback();
  };
  const write = socket._write.bind(socket);
  const writeMany = socket._writev?.bind(socket);
  socket._write = (chunk, encoding, callback) => write(chunk, encoding, late(callback));
  if (writeMany !== undefined) socket._writev = (chunks, callback) => writeMany(chunks, late(callback));
}
