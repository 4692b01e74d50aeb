// How the server closes: nobody new comes in, calls in flight end within a limit, and each connection ends after what it
// still owes. Node.js by itself keeps waiting for connections that have sent nothing, or half a request.

import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { Crowd, type Member } from '../crowd.ts';
import { lastDueOn } from './due-answers.ts';
import type { OpenCalls } from './open-calls.ts';

/** How often the connections are looked through. */
const lookEveryMs = 50;
/** How long a client has for the rest of a request that it has begun to send. */
const unfinishedMs = 1_000;

/** Returns how to close the server: what `limitMs` finds still open is cut and not charged. */
export function prepareClosing(app: FastifyInstance, openCalls: OpenCalls): (limitMs: number) => Promise<void> {
  const connections = watchConnections(app.server);
  return async (limitMs) => {
    const closed = app.close();
    const looking = setInterval(lookThrough, lookEveryMs, app.server, connections, performance.now() + unfinishedMs);
    try {
      lookThrough(app.server, connections, performance.now() + unfinishedMs);
      const isClosed = await Promise.race([closed.then(() => true), setTimeout(limitMs, false, { ref: false })]);
      if (isClosed) return;
      openCalls.giveUp();
      app.server.closeAllConnections();
      await closed;
    } finally {
      clearInterval(looking);
    }
  };
}

interface Connection extends Member {
  readonly socket: Socket;
}

/** The connections that the server itself reads from: not those that have become a tunnel. */
function watchConnections(server: Server): Crowd<Connection> {
  const connections = new Crowd<Connection>();
  const connectionOf = new WeakMap<object, Connection>();
  const letGo = (socket: object) => {
    const connection = connectionOf.get(socket);
    if (connection !== undefined) connections.delete(connection);
  };
  server.on('connection', (socket) => {
    // One that goes back to being the server's is known.
    const connection = connectionOf.get(socket) ?? { socket, place: -1 };
    connectionOf.set(socket, connection);
    connections.delete(connection);
    connections.add(connection);
    socket.once('close', () => letGo(socket));
  });
  server.prependListener('upgrade', (_request, socket) => letGo(socket));
  return connections;
}

/** `deadline` (`performance.now()`): until then a connection may be about to send the rest of a request. */
function lookThrough(server: Server, connections: Crowd<Connection>, deadline: number): void {
  server.closeIdleConnections();
  for (const { socket } of [...connections.values()]) {
    const last = lastDueOn(socket);
    if (last !== null) last.shouldKeepAlive = false;
    else if (performance.now() > deadline || socket.bytesRead === 0) socket.destroySoon();
  }
}
