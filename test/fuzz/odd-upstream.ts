// The upstream of the fuzz: mostly it answers well, and at random in every way in which an upstream can go wrong.

import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Random } from '../helpers/random.ts';

/** A path that is always answered well, for calls that check that the gateway still works. */
export const goodPath = '/good';

export interface OddUpstream {
  readonly url: string;
  close(): void;
}

const good = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Bytes, and what becomes of the connection after them. */
const answers: readonly (readonly [text: string, end: 'stays' | 'closes' | 'resets'])[] = [
  [good, 'stays'],
  [good, 'stays'],
  [good, 'stays'],
  [good, 'closes'],
  [good, 'resets'],
  ['HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno', 'stays'],
  ['HTTP/1.1 204 No Content\r\n\r\n', 'stays'],
  ['HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', 'stays'],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', 'stays'],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: y\r\n\r\n', 'stays'],
  ['HTTP/1.1 200 OK\r\n\r\nuntil the end', 'closes'],
  ['HTTP/1.1 200 OK\r\n\r\nuntil the end', 'resets'],
  ['HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 'closes'],
  [`HTTP/1.1 100 Continue\r\n\r\n${good}`, 'stays'],
  ['HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi', 'closes'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort', 'closes'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlonger than it says', 'stays'],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 'stays'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok', 'stays'],
  ['HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n', 'stays'],
  ['HTTP/1.1 2', 'closes'],
  ['220 mail.example ESMTP\r\n', 'stays'],
  [`HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(100_000)}\r\n\r\n`, 'closes'],
  ['', 'closes'],
  ['', 'resets'],
  ['', 'stays'],
];

/** Starts it on a free port of the loopback. */
export async function startOddUpstream(random: Random): Promise<OddUpstream> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let received = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text;
      const end = received.indexOf('\r\n\r\n');
      if (end === -1) return;
      const isGood = received.startsWith(`GET ${goodPath} `);
      // Bodies may stand at the front of the next request then, and are no request: that is odd as well.
      received = '';
      const [answer, then] = isGood ? ([good, 'closes'] as const) : random.of(answers);
      if (answer !== '') socket.write(answer, 'latin1');
      if (then === 'closes') socket.end();
      if (then === 'resets') setImmediate(() => socket.resetAndDestroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
