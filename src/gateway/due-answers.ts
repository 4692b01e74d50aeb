// The answers that a connection still owes: a client may send requests ahead of them. What ends a connection, or takes it
// over, has its turn after them; and who waits in line when the gateway ends one has not left.

import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const dueOn = new WeakMap<Socket, ServerResponse[]>();
const endedHere = new WeakSet<Socket>();
/** Connections that ended in the middle of an answer. */
const brokenOff = new WeakSet<Socket>();

/** Keeps account of the answers of a server. Each of them has a `close` from now on, whatever becomes of its connection. */
export function watchAnswers(server: Server): void {
  server.prependListener('request', ({ socket }, response) => {
    accountOf(socket).push(response);
    response.once('close', () => {
      if (!response.writableFinished) brokenOff.add(socket);
      forget(socket, response);
    });
  });
}

function accountOf(socket: Socket): ServerResponse[] {
  const known = dueOn.get(socket);
  if (known !== undefined) return known;
  const due: ServerResponse[] = [];
  dueOn.set(socket, due);
  socket.once('close', () => tellWaiting(socket, due));
  return due;
}

/** An answer that waits for its turn has no connection yet, and Node.js does not tell it of the end of the one it waits for. */
function tellWaiting(socket: Socket, due: readonly ServerResponse[]): void {
  const unfinished = due.filter((response) => !response.writableFinished);
  const waiting = unfinished.filter((response) => response.socket === null);
  // No answer was under way: the connection ended with the last one that was sent, as that one said.
  if (!brokenOff.has(socket) && waiting.length === unfinished.length) endedHere.add(socket);
  for (const response of waiting) response.emit('close');
}

/** Whether the gateway has ended a connection with answers still due, and not the client. */
export function isEndedHere(socket: Socket): boolean {
  return endedHere.has(socket);
}

/** Cuts an answer, and its connection with it; with a reset where the end of the connection could be taken for its own. */
export function cutAnswer(response: ServerResponse, { isReset = false }: { isReset?: boolean } = {}): void {
  const { socket } = response;
  if (socket === null) response.once('socket', (assigned: Socket) => endedHere.add(assigned));
  else endedHere.add(socket);
  if (isReset && socket !== null) socket.resetAndDestroy();
  else response.destroy();
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
