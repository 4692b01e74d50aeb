// Process of the bench: the upstream, as small as Node can make one. It counts what it answered, which is what the
// ledger must agree with.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What it can be asked for. */
export type UpstreamQuestion = 'port' | 'answered';

const body = Buffer.from(JSON.stringify({ message: 'the quick brown fox jumps over the lazy dog' }));
let answered = 0;

const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
  answered++;
});
// A connection that the measured process keeps must not be closed under it: a refused call would look like its fault.
server.keepAliveTimeout = 0;

server.listen(0, '127.0.0.1', () => {
  process.on('message', (question: UpstreamQuestion) => {
    process.send?.(question === 'port' ? (server.address() as AddressInfo).port : answered);
  });
});
process.on('disconnect', () => process.exit());
