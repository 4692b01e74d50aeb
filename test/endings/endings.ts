// Every way in which a call can end, and what the charging table of the contract says that it costs. Each is driven to
// its end by both sides, so that its cost is never a matter of who was faster.

import type { ServerResponse } from 'node:http';
import type { LedgerEntry } from '../../src/store/history.ts';
import type { Exchange } from './exchange.ts';

export interface Ending {
  readonly name: string;
  /** How the ledger says that it ended; null where it costs nothing. */
  readonly ended: LedgerEntry['ended'];
  /** What the upstream does with the request. Left out, it is driven by the caller's side, or never asked. */
  readonly upstream?: (response: ServerResponse, exchange: Exchange) => unknown;
  /** What the caller does, up to the end as the caller sees it. */
  readonly caller: (exchange: Exchange) => Promise<unknown>;
  /** Whether the upstream leaves the body of the request where it is. */
  readonly isBodyLeft?: boolean;
  /** The bytes with which the upstream answers a request for an upgrade. */
  readonly upgrade?: string;
}

/** Past what the sockets of the loopback take in without being read. */
const muchBytes = 16 * 1024 * 1024;

/** The limit on a request's body that the gateway has for these calls. */
export const bodyBytesMax = 100_000;

const lengthOf = (bytes: number) => [`Content-Length: ${bytes}`];
const chunked = ['Transfer-Encoding: chunked'];
const webSocket = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: eA=='];

/** The upstream's answer, and the caller who gets it whole. */
function answer(status: number, more: (response: ServerResponse) => unknown = (response) => response.end('done')) {
  return {
    name: `an answer of ${status}`,
    ended: status >= 200 && status <= 299 ? ('delivered' as const) : null,
    upstream: (response: ServerResponse) => more(response.writeHead(status)),
    caller: (exchange: Exchange) => exchange.send('GET').answered(status),
  };
}

/** The upstream says bytes of its own, without Node's server in between. */
function bytes(text: string) {
  return (response: ServerResponse) => void response.socket?.end(text, 'latin1');
}

const answers: readonly Ending[] = [
  answer(200),
  answer(201),
  answer(204, (response) => response.end()),
  answer(299),
  answer(301),
  answer(304, (response) => response.end()),
  answer(402),
  answer(404),
  answer(500),
  answer(503),
  { ...answer(200, (response) => response.write('in') && response.end('chunks')), name: 'an answer in chunks' },
  {
    ...answer(200),
    name: 'an answer to HEAD',
    caller: (exchange) => exchange.send('HEAD').answered(200, 'HEAD'),
  },
  {
    ...answer(200),
    name: 'an answer after an interim one',
    upstream: (response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.end('done');
    },
  },
  {
    ...answer(200),
    name: 'an answer that ends with the connection',
    upstream: bytes('HTTP/1.1 200 OK\r\n\r\nall of it'),
    caller: async (exchange) => {
      await exchange.send('GET', ['Connection: close']).answered(200);
    },
  },
];

const failures: readonly Ending[] = [
  {
    name: 'an upstream that breaks the connection',
    ended: null,
    upstream: (response) => void response.socket?.resetAndDestroy(),
    caller: (exchange) => exchange.send('GET').answered(502),
  },
  {
    name: 'an upstream that says nothing and closes',
    ended: null,
    upstream: (response) => void response.socket?.end(),
    caller: (exchange) => exchange.send('GET').answered(502),
  },
  {
    name: 'an answer that is no HTTP',
    ended: null,
    upstream: bytes('220 mail.example ESMTP\r\n\r\n'),
    caller: (exchange) => exchange.send('GET').answered(502),
  },
  {
    name: 'an upstream that does not answer in time',
    ended: null,
    upstream: () => {},
    caller: (exchange) => exchange.send('GET').answered(504),
  },
  {
    name: 'a body that ends before its length',
    ended: null,
    upstream: bytes('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all of it'),
    caller: (exchange) => exchange.send('GET').cut(),
  },
  {
    name: 'a body that breaks off between its chunks',
    ended: null,
    upstream: bytes('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n'),
    caller: (exchange) => exchange.send('GET').cut(),
  },
  {
    name: 'a body whose next chunk never comes',
    ended: null,
    upstream: (response) => response.write('some'),
    caller: (exchange) => exchange.send('GET').cut(),
  },
];

const departures: readonly Ending[] = [
  ...[200, 500].map((status) => ({
    name: `a caller who leaves before an answer of ${status}`,
    ended: status === 200 ? ('caller-left-early' as const) : null,
    caller: async (exchange: Exchange) => {
      const response = await exchange.send('POST', lengthOf(4), 'body').asked();
      await exchange.hasUploaded(4);
      await exchange.leaveSeen();
      response.writeHead(status).end('late');
    },
  })),
  {
    name: 'a caller who leaves in the middle of the answer',
    ended: 'caller-left',
    upstream: (response) => response.write('some'),
    caller: async (exchange) => {
      await exchange.send('GET').wire.waitFor('some');
      exchange.leave();
    },
  },
  {
    name: 'a caller who leaves in the middle of its own body',
    ended: null,
    caller: async (exchange) => {
      await exchange.send('POST', lengthOf(100), 'some').hasUploaded(4);
      exchange.leave();
    },
  },
  {
    name: 'a caller who does not read',
    ended: 'caller-stalled',
    upstream: (response) => response.end(Buffer.alloc(muchBytes)),
    caller: async (exchange) => {
      exchange.wire.socket.pause();
      await exchange.send('GET').asked();
      await new Promise((resolve) => exchange.response?.once('close', resolve));
      exchange.leave();
    },
  },
  {
    name: 'a caller who does not send the rest of its body',
    ended: null,
    caller: (exchange) => exchange.send('POST', lengthOf(100), 'some').answered(408),
  },
];

const uploads: readonly Ending[] = [
  {
    name: 'an upload in chunks',
    ended: 'delivered',
    upstream: (response, { request }) => void request?.once('end', () => response.end('done')),
    caller: (exchange) => exchange.send('POST', chunked, '4\r\nbody\r\n0\r\n\r\n').answered(200),
  },
  {
    name: 'an upload whose chunks turn to nonsense',
    ended: null,
    caller: async (exchange) => {
      await exchange.send('POST', chunked, '4\r\nbody\r\n').hasUploaded(4);
      exchange.wire.send('nonsense\r\n');
      await exchange.answered(400);
    },
  },
  {
    name: 'an upload that is announced too large',
    ended: null,
    caller: (exchange) => exchange.send('POST', lengthOf(bodyBytesMax + 1)).answered(413),
  },
  {
    name: 'an upload that grows too large',
    ended: null,
    caller: async (exchange) => {
      exchange.send('POST', chunked, `20000\r\n${'x'.repeat(0x20000)}\r\n`);
      await exchange.answered(413);
    },
  },
  ...[200, 413].map((status) => ({
    name: `an answer of ${status} before the upload is whole`,
    ended: status === 200 ? ('delivered' as const) : null,
    isBodyLeft: true,
    upstream: (response: ServerResponse) => response.writeHead(status, { 'content-length': 5 }).end('early'),
    caller: async (exchange: Exchange) => {
      await exchange.send('POST', lengthOf(50_000), 'some').answered(status);
      exchange.wire.send('x'.repeat(49_996));
    },
  })),
];

const upgrades: readonly Ending[] = [
  {
    name: 'an upgrade that is accepted',
    ended: 'upgraded',
    upgrade: 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    caller: async (exchange) => {
      await exchange.send('GET', webSocket).answered(101);
      exchange.leave();
    },
  },
  {
    name: 'an upgrade that is refused',
    ended: null,
    upgrade: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno',
    caller: (exchange) => exchange.send('GET', webSocket).answered(403),
  },
];

export const endings: readonly Ending[] = [...answers, ...failures, ...departures, ...uploads, ...upgrades];
