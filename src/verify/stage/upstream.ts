// The API behind the gateways: each path says how it behaves, and it writes down what it did with each call, which is
// one half of the charging rule.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type { Records, ServedRecord } from './records.ts';

/** How it can be asked to behave. */
export const manners = ['quick', 'streamed', 'late', 'fails', 'missing', 'dies', 'resets', 'hangs'] as const;
export type Manner = (typeof manners)[number];

const lateMs = 400;
const hangMs = 3_000;
const pieces = 8;
const pieceEveryMs = 60;

export interface Upstream {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts it on a free port. */
export async function startUpstream(records: Records): Promise<Upstream> {
  const server = createServer((request, response) => void serve(request, response, records));
  // Gateways keep their connections longer than this default; it must not be the upstream that closes them.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

async function serve(request: IncomingMessage, response: ServerResponse, records: Records): Promise<void> {
  const id = String(request.headers['x-request-id']);
  const record: ServedRecord = records.served.get(id) ?? { status: null, end: 'open', endedAtMs: 0, times: 0 };
  records.served.set(id, record);
  record.times += 1;
  response.once('close', () => {
    if (record.end === 'open') record.end = response.writableFinished ? 'whole' : 'left';
    record.endedAtMs = performance.now();
  });
  response.on('error', () => {});
  request.resume();
  const manner = (request.url ?? '').split('/').at(-1) as Manner;
  await behave(manner, request, response, record);
}

async function behave(manner: Manner, request: IncomingMessage, response: ServerResponse, record: ServedRecord) {
  const answer = (status: number) => {
    record.status = status;
    response.writeHead(status, { 'content-type': 'text/plain' });
  };
  const breakOff = () => {
    if (record.end === 'open') record.end = 'died';
    request.socket.destroy();
  };
  if (manner === 'resets') return breakOff();
  if (manner === 'late') await setTimeout(lateMs);
  if (manner === 'hangs') await setTimeout(hangMs);
  // Who has left is answered all the same: the gateway waits for the status, and the caller pays by it.
  if (response.destroyed) return;
  answer(manner === 'fails' ? 500 : manner === 'missing' ? 404 : 200);
  if (manner !== 'streamed' && manner !== 'dies') return void response.end('done\n');
  for (let piece = 1; piece <= pieces && !response.destroyed; piece++) {
    response.write(`piece ${piece}\n`);
    await setTimeout(pieceEveryMs);
    if (manner === 'dies' && piece === pieces / 2) return breakOff();
  }
  response.end();
}
