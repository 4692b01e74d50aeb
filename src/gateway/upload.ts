// The caller's body on its way to the upstream. Between the two stands a stream of our own: undici destroys the body
// it is given when the upstream fails, and the caller's own stream takes the caller's connection along, so that
// nobody would be there to hear of the 502. On the way the bytes are counted and the caller's pace is watched.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { TollgateError } from '../errors.ts';
import type { Call } from './call.ts';

/** Whether a request has a body, whatever its method (RFC 9112 §6). */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Refuses a body whose length is announced and too large, with TG_BODY_TOO_LARGE. */
export function checkAnnouncedLength(request: IncomingMessage, limitBytes: number | null): void {
  if (limitBytes !== null && Number(request.headers['content-length'] ?? 0) > limitBytes) {
    throw new TollgateError('TG_BODY_TOO_LARGE', { limitBytes });
  }
}

/**
 * The body to send, or null. It fails when the caller leaves before it is whole, and when it grows beyond the route's
 * limit. A caller that waits to be told to go on (`Expect: 100-continue`) is told so now.
 */
export function openUpload(request: IncomingMessage, response: ServerResponse, call: Call): Readable | null {
  if (!hasBody(request)) return null;
  if (request.headers.expect !== undefined && response.socket !== null) response.writeContinue();
  const upload = new PassThrough();
  // The exchange hears of a failed body from undici; without a listener here it would be an uncaught exception.
  upload.on('error', () => {});
  const limitBytes = call.route.maxBodySize ?? Number.POSITIVE_INFINITY;
  let bytes = 0;
  const isCallersTurn = (isIt: boolean) => {
    call.uploadStalledSince = isIt && !upload.destroyed ? performance.now() : null;
  };
  isCallersTurn(true);
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    isCallersTurn(true);
    if (bytes <= limitBytes || upload.destroyed) return;
    upload.destroy();
    call.refuse(new TollgateError('TG_BODY_TOO_LARGE', { limitBytes }));
  });
  request.pipe(upload);
  // While the upstream does not take more, it is not the caller who is late.
  request.on('pause', () => isCallersTurn(false));
  request.on('resume', () => isCallersTurn(true));
  request.once('end', () => isCallersTurn(false));
  request.once('close', () => {
    if (!request.readableEnded) upload.destroy(new Error('the caller left before its body was whole'));
  });
  upload.once('close', () => {
    isCallersTurn(false);
    // What the upstream did not want is read and dropped, so that the caller gets to reading its answer.
    request.resume();
  });
  return upload;
}
