// What arrives at the server and never becomes a request for Fastify: bytes that are no HTTP, headers without end, CONNECT,
// expectations. Each is answered with a code like everything else, counted and logged, and its connection closed: after a
// malformed request nobody can tell where the next one begins.

import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { BaseLogger } from 'pino';
import { type ErrorCode, TollgateError } from '../errors.ts';
import { newId } from '../ids.ts';
import { lastDueOn, watchAnswers, whenNoneIsDue } from './due-answers.ts';
import { hasBody } from './upload.ts';

export interface IntakeOptions {
  readonly log: Pick<BaseLogger, 'info'>;
  /** Told of each request that is answered here. */
  readonly onRefused: (code: ErrorCode, status: number) => void;
}

/** How long a connection that is done for may go on sending, so that its client gets to reading the answer. */
const lingerMs = 2_000;

/** For `http.createServer`: limits on every header, and the checks that are ours left to us. */
export const serverOptions: ServerOptions = {
  /** Of the request line and all fields, in bytes. */
  maxHeaderSize: 32 * 1024,
  headersTimeout: 60_000,
  /** Bodies may take as long as they keep moving; the gateway watches that. */
  requestTimeout: 0,
  requireHostHeader: false,
};

/** Takes over what the server, and Fastify for it, would do by itself. */
export function watchIntake(server: Server, options: IntakeOptions): void {
  const refused = new WeakSet<Socket>();
  // None is dropped in silence: a credential could be among them. Their size is limited as a whole.
  server.maxHeadersCount = 0;
  watchAnswers(server);
  server.prependListener('request', (request, response) => {
    if (hasBody(request)) response.once('finish', () => endUpload(request));
  });
  const serve = (request: IncomingMessage, response: ServerResponse) => void server.emit('request', request, response);
  // The body is asked for when the call is admitted; an expectation that nobody knows is refused like other faults.
  server.on('checkContinue', serve);
  server.on('checkExpectation', serve);
  server.on('connect', (_request, duplex) => {
    const socket = duplex as Socket;
    // The server has let go of the connection, and its breaking would be an uncaught exception.
    socket.on('error', () => socket.destroy());
    const error = new TollgateError('TG_METHOD_NOT_ALLOWED');
    whenNoneIsDue(socket, () => refuse(socket, error, options, null, ['Allow: GET, HEAD, POST, PUT']));
  });
  server.removeAllListeners('clientError');
  server.on('clientError', (error, duplex) => {
    const socket = duplex as Socket;
    if (refused.has(socket)) return;
    refused.add(socket);
    if (!socket.writable || ('code' in error && error.code === 'ECONNRESET')) {
      socket.destroy();
      return;
    }
    afterAnswers(socket, () => refuse(socket, new TollgateError(codeOf(error)), options, error));
  });
}

/** Waits for the answers that are due before; a request whose own body is broken may have none yet. */
function afterAnswers(socket: Socket, answer: () => void): void {
  const last = lastDueOn(socket);
  if (last === null) answer();
  else if (last.req.complete) last.once('close', answer);
  else if (last.headersSent || last.socket === null) socket.destroy();
  else answer();
}

/** What is left of a body whose request has been answered is read and dropped for a while, not for ever. */
function endUpload(request: IncomingMessage): void {
  if (request.complete || request.socket.destroyed) return;
  setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, lingerMs).unref();
}

type ParserError = Error & { readonly code?: string; readonly rawPacket?: Buffer };

function codeOf({ code, rawPacket }: ParserError): ErrorCode {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'TG_REQUEST_TIMEOUT';
  if (code !== 'HPE_HEADER_OVERFLOW') return 'TG_REQUEST_MALFORMED';
  // So much without the end of a line is a request line.
  return rawPacket?.includes('\n') === false ? 'TG_URL_TOO_LONG' : 'TG_HEADER_TOO_LARGE';
}

function refuse(
  socket: Socket,
  { code, status, message }: TollgateError,
  { log, onRefused }: IntakeOptions,
  cause: Error | null,
  fields: readonly string[] = [],
): void {
  const requestId = newId();
  const body = JSON.stringify({ error: message });
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      ...fields,
      `X-Tollgate-Error: ${code}`,
      `X-Request-Id: ${requestId}`,
      'Cache-Control: no-store',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
  // What comes after it is dropped, so that the answer is not lost with a connection that breaks.
  socket.on('data', () => {}).resume();
  setTimeout(() => socket.destroy(), lingerMs).unref();
  onRefused(code, status);
  log.info(
    { requestId, status, error: code, ...(cause !== null && { cause: cause.message }) },
    'request refused unread',
  );
}
