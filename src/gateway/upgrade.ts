// Requests that ask for another protocol on their connection, such as `websocket`. They go through the same hooks as any
// other request, with an answer made for their connection; what becomes of an accepted one is in tunnels.ts. Protocols
// that would carry further requests past the gateway (HTTP/2 in clear text) are not accepted: such a request is served as
// if it had not asked, as RFC 9110 §7.8 allows.

import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { whenNoneIsDue } from './due-answers.ts';
import { hasBody } from './upload.ts';

/** A request for another protocol, and the connection it came on. */
export interface Upgrade {
  readonly protocol: string;
  readonly socket: Socket;
  /** What the client has sent after its request. */
  readonly head: Buffer;
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/** The upgrade that a request asks for, or null. */
export function upgradeOf(request: IncomingMessage): Upgrade | null {
  return upgrades.get(request) ?? null;
}

/** Has requests for an upgrade served by `serve`, like all others. */
export function acceptUpgrades(
  server: Server,
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): void {
  server.on('upgrade', (request, duplex, head) => {
    const socket = duplex as Socket;
    // The server's own, which ends a connection that it takes for idle; it adds it anew where it begins anew.
    socket.removeAllListeners('timeout');
    // Nobody else listens any more, and its breaking would be an uncaught exception.
    socket.on('error', () => socket.destroy());
    const protocol = protocolOf(request);
    whenNoneIsDue(socket, () => {
      if (protocol === null) {
        serveWithoutUpgrade(server, request, socket, head);
        return;
      }
      upgrades.set(request, { protocol, socket, head });
      serve(request, openResponse(request, socket));
    });
  });
}

/** The one protocol that is asked for; null where there are more, or where it would carry requests past the gateway. */
function protocolOf(request: IncomingMessage): string | null {
  const protocol = request.headers.upgrade?.trim() ?? '';
  const isToken = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+(\/[A-Za-z0-9!#$%&'*+.^_`|~-]+)?$/.test(protocol);
  return !isToken || /^(h2c?|https?|tls)(\/|$)/i.test(protocol) || hasBody(request) ? null : protocol;
}

/** Node.js makes no response for an upgrade. Whoever refuses one ends the connection with its answer. */
function openResponse(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  socket.on('drain', () => response.emit('drain'));
  response.once('finish', () => socket.destroySoon());
  return response;
}

/**
 * Node.js has let go of the connection by now. The request is put back in front of what follows it, without its wish, and
 * the server begins anew.
 */
function serveWithoutUpgrade(server: Server, request: IncomingMessage, socket: Socket, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const value = rawHeaders[i + 1] ?? '';
    const key = name.toLowerCase();
    if (key === 'upgrade' || key === 'http2-settings') continue;
    lines.push(
      key === 'connection' ? `${name}: ${value.replaceAll(/\bupgrade\b/gi, 'x-upgrade')}` : `${name}: ${value}`,
    );
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}
