// Process of the bench: the upstream, as small as Node can make one. It counts what it answered with 2xx, which is what
// the ledger must agree with. The path says what is wanted of it.

import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What it can be asked for. */
export type UpstreamQuestion = 'port' | 'answered';

const small = Buffer.from(JSON.stringify({ message: 'the quick brown fox jumps over the lazy dog' }));
const kilobyte = Buffer.alloc(1_000, 'x');
const hundredKilobytes = Buffer.alloc(100_000, 'x');
const event = `data: ${JSON.stringify({ delta: 'the quick brown fox' })}\n\n`;
const eventsPerAnswer = 10;
/** Longer than callers stay that leave. */
const lateMs = 50;
let answered = 0;

const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  '/1k': (response) => whole(response, kilobyte),
  '/100k': (response) => whole(response, hundredKilobytes),
  '/sse': streamed,
  '/late': (response) => setTimeout(whole, lateMs, response, small),
  '/fails': (response) => response.writeHead(500, { 'content-length': 0 }).end(),
  '/dies': (response) => response.destroy(),
};

const server = createServer((request, response) => {
  request.resume();
  const answer = answers[request.url ?? ''];
  if (answer === undefined) whole(response, small);
  else answer(response);
});
// A connection that the measured process keeps must not be closed under it: a refused call would look like its fault.
server.keepAliveTimeout = 0;

server.listen(0, '127.0.0.1', () => {
  process.on('message', (question: UpstreamQuestion) => {
    process.send?.(question === 'port' ? (server.address() as AddressInfo).port : answered);
  });
});
process.on('disconnect', () => process.exit());

function whole(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
  answered++;
}

/** Each event in a turn of its own, as fast as whoever forwards them lets it. */
function streamed(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  answered++;
  let left = eventsPerAnswer;
  const next = () => {
    if (response.destroyed) return;
    left -= 1;
    if (left === 0) response.end(event);
    else response.write(event, () => setImmediate(next));
  };
  next();
}
