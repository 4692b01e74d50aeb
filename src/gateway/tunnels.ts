// Connections that an upstream has taken over, such as WebSockets: bytes go both ways until one side ends, nothing moves
// for too long, or the gateway stops. Then a WebSocket is closed with 1001 (going away, RFC 6455 §7.4.1) at the end of the
// frame under way, so that neither side has to take the end for a fault.

import type { Duplex } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { FrameBoundary } from './frame-boundary.ts';
import type { Upgrade } from './upgrade.ts';

export interface TunnelParts {
  readonly upgrade: Upgrade;
  readonly reply: FastifyReply;
  /** The fields for the caller, without those of the connection. */
  readonly fields: readonly string[];
  /** The protocol that the upstream has switched to. */
  readonly protocol: string;
  /** The connection to the upstream. */
  readonly upstream: Duplex;
  /** Milliseconds without a byte either way after which the tunnel ends; 0 is no limit. */
  readonly idleMs: number;
}

/** How long the two sides may take to end after a closing frame. */
const closingMs = 1_000;

/** A close frame with status 1001; the one for the upstream is masked, as a client's have to be, with a mask of zeros. */
const closeForCaller = Buffer.from([0x88, 0x02, 0x03, 0xe9]);
const closeForUpstream = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]);

export class Tunnels {
  readonly #tunnels = new Set<Tunnel>();
  #isClosing = false;

  /** Sends the 101 and connects the two sides. */
  open(parts: TunnelParts): void {
    const tunnel = new Tunnel(parts);
    this.#tunnels.add(tunnel);
    parts.upgrade.socket.once('close', () => this.#tunnels.delete(tunnel));
    if (this.#isClosing) tunnel.close();
  }

  /** Ends every tunnel, and each that is opened from now on. */
  close(): void {
    this.#isClosing = true;
    for (const tunnel of this.#tunnels) tunnel.close();
  }
}

class Tunnel {
  readonly #parts: TunnelParts;
  readonly #fromCaller: FrameBoundary | null;
  readonly #fromUpstream: FrameBoundary | null;

  constructor(parts: TunnelParts) {
    this.#parts = parts;
    const isWebSocket = parts.protocol.toLowerCase() === 'websocket';
    this.#fromCaller = isWebSocket ? new FrameBoundary() : null;
    this.#fromUpstream = isWebSocket ? new FrameBoundary() : null;
    if (parts.upgrade.socket.destroyed) {
      parts.upstream.destroy();
      return;
    }
    this.#sendAnswer();
    this.#connect();
  }

  #sendAnswer(): void {
    const { reply, fields, protocol } = this.#parts;
    reply.hijack();
    reply.raw.writeHead(101, [...fields, 'Connection', 'Upgrade', 'Upgrade', protocol]);
    reply.raw.flushHeaders();
  }

  #connect(): void {
    const { upgrade, upstream, idleMs } = this.#parts;
    const { socket: caller, head } = upgrade;
    upstream.on('error', () => upstream.destroy());
    // Whichever side is gone takes the other along.
    upstream.once('close', () => caller.destroySoon());
    caller.once('close', () => upstream.destroy());
    caller.setTimeout(idleMs, () => this.close());
    if (head.length > 0) {
      this.#fromCaller?.follow(head);
      upstream.write(head);
    }
    if (this.#fromCaller !== null) caller.on('data', (chunk: Buffer) => this.#fromCaller?.follow(chunk));
    if (this.#fromUpstream !== null) upstream.on('data', (chunk: Buffer) => this.#fromUpstream?.follow(chunk));
    caller.pipe(upstream);
    upstream.pipe(caller);
  }

  /** Ends both sides, with a closing frame where the protocol has one. Safe to call twice. */
  close(): void {
    const { upgrade, upstream } = this.#parts;
    const { socket: caller } = upgrade;
    endAtBoundary(this.#fromUpstream, upstream, caller, closeForCaller);
    endAtBoundary(this.#fromCaller, caller, upstream, closeForUpstream);
    setTimeout(() => {
      caller.destroy();
      upstream.destroy();
    }, closingMs).unref();
  }
}

/** Lets the frame under way pass from one side to the other, then says goodbye instead of what would follow. */
function endAtBoundary(boundary: FrameBoundary | null, from: Duplex, to: Duplex, goodbye: Buffer): void {
  if (boundary === null) {
    from.unpipe(to);
    to.end();
    return;
  }
  boundary.whenBetweenFrames(() => {
    from.unpipe(to);
    to.end(goodbye);
  });
}
