// Bodies pass while they are made, both ways; who is slow is waited for, and holds up the other side and no more.

import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { until } from '../../helpers/until.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';
import { headOf } from './upstreams-of-bytes.ts';

/** Far more than sockets and streams of the loopback keep on their own. */
const muchBytes = 64 * 2 ** 20;
/** What two connections and what stands between them may hold of it. */
const keptBytesMax = 24 * 2 ** 20;

export const streamingCases: readonly ProxyCase[] = [
  {
    name: 'events arrive one by one, as they are sent',
    charges: 1,
    run: async (rig) => {
      const { front, answering } = await answeredByHand(rig);
      const wire = front.connect().send(front.get('/'));
      const response = await answering();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let i = 0; i < 5; i++) {
        response.write(`data: event ${i}\n\n`);
        await wire.waitFor(`event ${i}`);
      }
      response.end();
      await wire.answer();
    },
  },
  {
    name: 'the header of an answer arrives before its body',
    run: async (rig) => {
      const { front, answering } = await answeredByHand(rig);
      const wire = front.connect().send(front.get('/'));
      const response = await answering();
      response.writeHead(200, { 'x-own': '1' }).flushHeaders();
      await wire.waitFor('\r\n\r\n');
      response.end();
      await wire.answer();
    },
  },
  {
    name: 'an upload arrives piece by piece, as it is sent',
    run: async (rig) => {
      let heard = '';
      const front = await rig.serve(async (request, response) => {
        for await (const chunk of request) heard += chunk;
        response.end();
      });
      const wire = front.connect().send(front.head('POST / HTTP/1.1', 'Host: h', 'Content-Length: 15'));
      for (const piece of ['first', 'again', 'third']) {
        wire.send(piece);
        await until(
          () => heard,
          (so) => so.endsWith(piece),
        );
      }
      assert.equal((await wire.answer()).status, 200);
    },
  },
  {
    name: 'an upstream that answers while it reads is heard while it does',
    run: async (rig) => {
      const front = await rig.serve((request, response) => request.pipe(response));
      const wire = front.connect().send(front.head('POST / HTTP/1.1', 'Host: h', 'Transfer-Encoding: chunked'));
      for (const piece of ['first', 'again', 'third']) {
        wire.send(`5\r\n${piece}\r\n`);
        await wire.waitFor(piece);
      }
      wire.send('0\r\n\r\n');
      assert.equal((await wire.answer()).body, 'firstagainthird');
    },
  },
  {
    name: 'an upstream is held up by a caller who does not read, and then goes on',
    charges: 1,
    run: async (rig) => {
      let sent = 0;
      const front = await rig.serve(async (_request, response) => {
        response.writeHead(200, { 'content-length': muchBytes });
        await sendSlowly(muchBytes, response, (bytes) => {
          sent += bytes;
        });
        response.end();
      });
      const wire = front.connect();
      wire.socket.pause();
      wire.send(front.get('/'));
      assert.ok((await standstillOf(() => sent)) < keptBytesMax, `${sent} bytes were taken`);
      const whole = createHash('sha1').update(Buffer.alloc(muchBytes, 'x')).digest('hex');
      wire.socket.resume();
      const { body } = await wire.answer();
      assert.equal(createHash('sha1').update(body, 'latin1').digest('hex'), whole);
    },
  },
  {
    name: 'a caller is held up by an upstream that does not read, and then goes on',
    charges: 1,
    run: async (rig) => {
      const { front, answering } = await answeredByHand(rig);
      const wire = front.connect();
      wire.send(front.head('POST / HTTP/1.1', 'Host: h', `Content-Length: ${muchBytes}`));
      let sent = 0;
      const sending = sendSlowly(muchBytes, wire.socket, (bytes) => {
        sent += bytes;
      });
      const response = await answering();
      assert.ok((await standstillOf(() => sent)) < keptBytesMax, `${sent} bytes were taken`);
      let arrived = 0;
      response.req.on('data', (chunk: Buffer) => {
        arrived += chunk.length;
      });
      response.req.once('end', () => response.end());
      await sending;
      assert.equal((await wire.answer()).status, 200);
      assert.equal(arrived, muchBytes);
    },
  },
  ...[65_536, 300_000].map(
    (size): ProxyCase => ({
      name: `an answer of ${size} bytes whose connection ends with it arrives whole, with a length and without`,
      charges: 20,
      run: async (rig) => {
        const front = await rig.speak(async (wire) => {
          const { requestLine } = await headOf(wire);
          const length = requestLine.includes('/length') ? [`Content-Length: ${size}`] : [];
          wire.send('HTTP/1.1 200 OK', 'Connection: close', ...length, '', 'x'.repeat(size));
          wire.socket.end();
        });
        for (let round = 0; round < 10; round++) {
          for (const path of ['/length', '/none']) assert.equal((await front.call(path)).body.length, size);
        }
      },
    }),
  ),
  {
    name: 'an answer that ends with its connection is whole, however slowly it is read',
    charges: 1,
    run: async (rig) => {
      const size = 4 * 2 ** 20;
      const front = await rig.speak(async (wire) => {
        await headOf(wire);
        wire.send('HTTP/1.1 200 OK', '', 'x'.repeat(size));
        wire.socket.end();
      });
      const wire = front.connect();
      wire.socket.pause();
      wire.send(front.get('/', 'Connection: close'));
      await until(
        () => front.upstream[0]?.writableLength ?? -1,
        (waiting) => waiting >= 0,
      );
      // Read by small pieces, with turns of the event loop in between.
      wire.socket.resume();
      wire.socket.on('data', () => {
        wire.socket.pause();
        setImmediate(() => wire.socket.resume());
      });
      const { body } = await wire.answer();
      assert.equal(body.length, size);
    },
  },
  ...[
    { status: 200, charges: 20 },
    { status: 401, charges: 0 },
    { status: 413, charges: 0 },
  ].map(
    ({ status, charges }): ProxyCase => ({
      name: `an answer of ${status} that comes while the upload runs is never lost`,
      charges,
      run: async (rig) => {
        const front = await rig.serve((_request, response) => {
          response.writeHead(status, { connection: 'close', 'content-length': 5 }).end('early');
        });
        for (let round = 0; round < 20; round++) {
          const size = 4 * 2 ** 20;
          const head = front.head('POST / HTTP/1.1', 'Host: h', `Content-Length: ${size}`);
          const answer = await front
            .connect()
            .send(head + 'x'.repeat(size))
            .answer();
          assert.equal(answer.status, status, `round ${round}`);
          assert.equal(answer.body, 'early', `round ${round}`);
        }
      },
    }),
  ),
];

/** An upstream whose answers are made by the case: `answering` gives the next. */
async function answeredByHand(rig: Rig): Promise<{ front: Front; answering: () => Promise<ServerResponse> }> {
  const responses: ServerResponse[] = [];
  const front = await rig.serve((_request, response) => {
    responses.push(response);
  });
  const answering = async () => {
    await until(
      () => responses.length,
      (count) => count > 0,
    );
    return responses.shift() as ServerResponse;
  };
  return { front, answering };
}

/** Sends no faster than it is taken, and tells what is on its way. */
async function sendSlowly(size: number, to: Writable, onSent: (bytes: number) => void): Promise<void> {
  const piece = Buffer.alloc(64 * 1024, 'x');
  for (let sent = 0; sent < size; sent += piece.length) {
    onSent(piece.length);
    if (!to.write(piece)) await new Promise((resolve) => to.once('drain', resolve));
  }
}

/** Waits until a number that only grows has stood still for a number of looks, and returns it. */
async function standstillOf(read: () => number): Promise<number> {
  let last = -1;
  let looks = 0;
  return until(read, (value) => {
    looks = value === last && value > 0 ? looks + 1 : 0;
    last = value;
    return looks >= 30;
  });
}
