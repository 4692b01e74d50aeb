// The caller's body on its way to the upstream. Between the two stands a stream of our own: undici destroys the body
// it is given when the upstream fails, and the caller's own stream takes the caller's connection along, so that
// nobody would be there to hear of the 502.

import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';

/** Whether a request has a body, whatever its method (RFC 9112 §6). */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** The body to send, or null. It fails when the caller leaves before it is whole. */
export function openUpload(request: IncomingMessage): Readable | null {
  if (!hasBody(request)) return null;
  const upload = new PassThrough();
  // The exchange hears of a failed body from undici; without a listener here it would be an uncaught exception.
  upload.on('error', () => {});
  request.pipe(upload);
  request.once('close', () => {
    if (!request.readableEnded) upload.destroy(new Error('the caller left before its body was whole'));
  });
  // What the upstream did not want is read and dropped, so that the caller gets to reading its answer.
  upload.once('close', () => request.resume());
  return upload;
}
