// What upstreams of the suite need to hear and to say.

import type { IncomingMessage } from 'node:http';
import type { Wire } from '../../helpers/wire.ts';

/** The header of the request that a connection begins with, once it is there. */
export async function headOf(wire: Wire): Promise<{ requestLine: string; lines: string[] }> {
  const received = await wire.waitFor('\r\n\r\n');
  const [requestLine = '', ...lines] = received.slice(0, received.indexOf('\r\n\r\n')).split('\r\n');
  return { requestLine, lines };
}

/** The lines of a 200 with a body. The upstream that sends it closes the connection. */
export function ok(body: string): string[] {
  return ['HTTP/1.1 200 OK', 'Connection: close', `Content-Length: ${body.length}`, '', body];
}

/** The whole body of a request, one character a byte. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}
