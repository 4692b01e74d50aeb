// The connections to one upstream: kept alive, verified, and forgiving where undici is not.

import type { Socket } from 'node:net';
import { buildConnector, Client, type Dispatcher, Pool } from 'undici';
import type { Upstream } from '../config/config.ts';

/** The most that the header of an upstream's answer may take, in bytes. */
const headerBytesMax = 64 * 1024;

/**
 * Without a limit of connections: each caller's connection has one call in flight, so they are bounded by the
 * callers', while a limit here would make a queue without one.
 */
export function openPool(upstream: Upstream): Pool {
  return new Pool(new URL(upstream.url).origin, {
    connections: null,
    factory: (origin) => new UpstreamClient(origin, upstream),
  });
}

/** One connection at a time, with one request at a time on it. */
class UpstreamClient extends Client {
  readonly #continues: ContinueFilter;

  constructor(origin: URL, upstream: Upstream) {
    const continues = new ContinueFilter();
    super(origin, {
      pipelining: 1,
      maxHeaderSize: headerBytesMax,
      headersTimeout: upstream.responseHeaderTimeout,
      bodyTimeout: upstream.readTimeout,
      connect: openConnector(upstream, (socket) => continues.watch(socket)),
    });
    this.#continues = continues;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    this.#continues.isHeaderAwaited = true;
    return super.dispatch(options, handler);
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
 * Takes `100 Continue` out of what a connection reads. The gateway asks for none, but a server may send it, and a client
 * has to put up with it (RFC 9110 §15.2); undici ends the connection instead.
 */
class ContinueFilter {
  isHeaderAwaited = false;
  #held: Buffer | null = null;

  watch(socket: Socket): void {
    const read = socket.read.bind(socket);
    this.#held = null;
    socket.read = (size?: number) => {
      const chunk: Buffer | null = read(size);
      return chunk === null || !this.isHeaderAwaited ? chunk : this.#filter(chunk);
    };
  }

  /** Null when nothing is left for now; the start of a header may be held until it can be told what it is. */
  #filter(chunk: Buffer): Buffer | null {
    let rest = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = null;
    for (;;) {
      const start = rest.toString('latin1', 0, continueStartLength);
      const isShort = rest.length < continueStartLength && 'HTTP/1.1 100 '.startsWith(start);
      if (!isShort && !continueStart.test(start)) break;
      const end = isShort ? -1 : rest.indexOf('\r\n\r\n');
      if (end === -1) {
        if (rest.length > headerBytesMax) break;
        this.#held = rest.length === 0 ? null : rest;
        return null;
      }
      rest = rest.subarray(end + 4);
    }
    this.isHeaderAwaited = false;
    return rest;
  }
}
