// A wire to PostgreSQL that counts what goes over it, and can hold everything back for a while. It knows the frames of
// the protocol (a type of one byte, a length of four) and no more.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface WireCounts {
  /** Statements that were sent. */
  readonly statements: number;
  /** Those of them that ask who a caller is. */
  readonly lookUps: number;
  /** Times that the other side was asked, and everything asked was answered: a pipeline is one. */
  readonly roundTrips: number;
}

export interface Wire {
  /** The URL of the database, through this wire. */
  readonly url: string;
  counts(): WireCounts;
  /** What is sent from now on arrives when it is let go. */
  hold(): void;
  letGo(): void;
  close(): void;
}

/** The tables by which callers are found. */
const lookUpTables = ['api_keys', 'identities', 'sessions'];
/** An exchange of charges and leases reads keys too; this is how it begins. */
const exchangeMark = 'UPDATE instances SET seq';

/** Opens the wire to the database of this URL. */
export async function openWire(url: string): Promise<Wire> {
  const { hostname, port } = new URL(url);
  const totals = { statements: 0, lookUps: 0, roundTrips: 0 };
  const sockets = new Set<Socket>();
  let isHeld = false;
  const kept: (() => void)[] = [];
  const pass = (chunk: Buffer, to: Socket) => {
    if (isHeld) kept.push(() => to.write(chunk));
    else to.write(chunk);
  };
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: hostname, port: Number(port), noDelay: true });
    const count = counterOf(totals);
    near.on('data', (chunk) => {
      count.asked(chunk);
      pass(chunk, far);
    });
    far.on('data', (chunk) => {
      count.answered(chunk);
      pass(chunk, near);
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo;
  return {
    url: Object.assign(new URL(url), { port: String(address.port) }).href,
    counts: () => ({ ...totals }),
    hold: () => {
      isHeld = true;
    },
    letGo: () => {
      isHeld = false;
      for (const send of kept.splice(0)) send();
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Counts one connection into the totals. */
function counterOf(totals: { statements: number; lookUps: number; roundTrips: number }) {
  let isOfExchange = false;
  let awaited = 0;
  // The first message has no type: version, user and database.
  const asked = frameReader(true, (type) => {
    if (type === 'Q' || type === 'E') totals.statements += 1;
    if (type !== 'Q' && type !== 'S') return;
    if (awaited === 0) totals.roundTrips += 1;
    awaited += 1;
  });
  const answered = frameReader(false, (type) => {
    // It is ready for the next: once after it has let the client in, without being asked.
    if (type === 'Z') awaited = Math.max(0, awaited - 1);
  });
  return {
    asked: (chunk: Buffer) => {
      isOfExchange ||= chunk.includes(exchangeMark);
      if (!isOfExchange && lookUpTables.some((table) => chunk.includes(table))) totals.lookUps += 1;
      asked(chunk);
    },
    answered,
  };
}

/** Tells the type of each frame of a stream, however it is cut into chunks. */
export function frameReader(isHeadless: boolean, onFrame: (type: string) => void): (chunk: Buffer) => void {
  let isFirst = isHeadless;
  let head = Buffer.alloc(0);
  let left = 0;
  return (chunk) => {
    let rest = chunk;
    while (rest.length > 0) {
      if (left > 0) {
        const taken = Math.min(left, rest.length);
        left -= taken;
        rest = rest.subarray(taken);
        continue;
      }
      const headLength = isFirst ? 4 : 5;
      const taken = headLength - head.length;
      head = Buffer.concat([head, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      if (head.length < headLength) return;
      // The length counts itself, and not the type.
      left = head.readUInt32BE(headLength - 4) - 4;
      if (!isFirst) onFrame(String.fromCharCode(head[0] ?? 0));
      isFirst = false;
      head = Buffer.alloc(0);
    }
  };
}
