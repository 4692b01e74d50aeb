// The answers that a connection still owes: a client may send requests ahead of them. What ends a connection, or takes it
// over, has its turn after them.

import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const dueOn = new WeakMap<Socket, ServerResponse[]>();

/** Keeps account of the answers of a server. */
export function watchAnswers(server: Server): void {
  server.prependListener('request', ({ socket }, response) => {
    const due = dueOn.get(socket);
    if (due === undefined) dueOn.set(socket, [response]);
    else due.push(response);
    response.once('close', () => forget(socket, response));
  });
}

/** The last of the answers that are due, or null when there are none. Those before it are due until it is. */
export function lastDueOn(socket: Socket): ServerResponse | null {
  return dueOn.get(socket)?.at(-1) ?? null;
}

/**
 * Calls back once nothing is due on a connection that the server has let go of: at once, or after the last answer; never
 * when the connection is gone before that.
 */
export function whenNoneIsDue(socket: Socket, callback: () => void): void {
  const last = lastDueOn(socket);
  if (last === null) {
    callback();
    return;
  }
  // The server would tell the answer under way that there is room again.
  const onDrain = () => dueOn.get(socket)?.[0]?.emit('drain');
  socket.on('drain', onDrain);
  last.once('close', () => {
    socket.off('drain', onDrain);
    if (!socket.destroyed) callback();
  });
}

function forget(socket: Socket, response: ServerResponse): void {
  const due = dueOn.get(socket);
  const at = due?.indexOf(response) ?? -1;
  if (at !== -1) due?.splice(at, 1);
}
