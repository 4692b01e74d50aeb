// Upgrades (RFC 9110 §7.8): what is asked for goes to the upstream, its answer comes back, and from a 101 on the bytes go
// both ways as they are.

import { strict as assert } from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { WebSocket } from 'undici';
import { valuesOf } from '../../helpers/raw-answer.ts';
import { until } from '../../helpers/until.ts';
import type { Wire } from '../../helpers/wire.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';
import { headOf } from './upstreams-of-bytes.ts';

const asks = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
const accepts = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'];
const options = { upgrades: true };

/** A text frame of the server's, and a close frame with 1001. */
const hello = '\x81\x05hello';
const goingAway = '\x88\x02\x03\xe9';

export const upgradeCases: readonly ProxyCase[] = [
  {
    name: 'a WebSocket is opened with the fields of both sides, and costs a call',
    options,
    charges: 1,
    run: async (rig) => {
      const heard: string[] = [];
      const front = await rig.speak(async (wire) => {
        heard.push(...(await headOf(wire)).lines);
        const chosen = ['Sec-WebSocket-Protocol: chat.v2', 'Sec-WebSocket-Extensions: permessage-deflate', 'X-Own: 1'];
        wire.send(...accepts, ...chosen, '', '');
      });
      const offers = ['Sec-WebSocket-Protocol: chat.v1, chat.v2', 'Sec-WebSocket-Extensions: permessage-deflate; x=1'];
      const answer = await ask(front, ...offers).answer();
      assert.equal(answer.status, 101);
      assert.deepEqual(valuesOf(heard, 'sec-websocket-protocol'), ['chat.v1, chat.v2']);
      assert.deepEqual(valuesOf(heard, 'sec-websocket-extensions'), ['permessage-deflate; x=1']);
      assert.deepEqual(valuesOf(heard, 'upgrade'), ['websocket']);
      assert.match(valuesOf(heard, 'connection').join(), /^upgrade$/i);
      assert.deepEqual(valuesOf(answer.lines, 'sec-websocket-protocol'), ['chat.v2']);
      assert.deepEqual(valuesOf(answer.lines, 'sec-websocket-extensions'), ['permessage-deflate']);
      assert.deepEqual(valuesOf(answer.lines, 'x-own'), ['1']);
    },
  },
  {
    name: 'a client of WebSocket talks to a server of WebSocket',
    options,
    charges: 1,
    run: async (rig) => {
      const front = await rig.speak(async (wire) => {
        const { lines } = await headOf(wire);
        const [key] = valuesOf(lines, 'sec-websocket-key');
        const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        wire.send(...accepts, `Sec-WebSocket-Accept: ${accept}`, '', hello);
      });
      const fields = front
        .head()
        .split('\r\n')
        .filter(Boolean)
        .map((line) => line.split(': ') as [string, string]);
      const socket = new WebSocket(`ws://127.0.0.1:${front.port}/`, { headers: Object.fromEntries(fields) });
      const [said] = await Promise.all([new Promise((resolve) => socket.addEventListener('message', resolve))]);
      assert.equal((said as { data: string }).data, 'hello');
      socket.close();
    },
  },
  {
    name: 'what follows the request and the 101 at once is not lost',
    options,
    run: async (rig) => {
      let heard = '';
      const front = await rig.speak(async (wire) => {
        await headOf(wire);
        wire.send(...accepts, '', 'early answer');
        heard = await wire.waitFor('early bird');
      });
      const wire = front.connect().send(`${front.get('/', ...asks)}early bird`);
      assert.equal((await wire.answer()).status, 101);
      await wire.waitFor('early answer');
      await until(
        () => heard,
        (all) => all.endsWith('\r\n\r\nearly bird'),
      );
    },
  },
  {
    name: 'a megabyte goes both ways byte for byte',
    options,
    run: async (rig) => {
      const front = await rig.speak(async (wire) => {
        await headOf(wire);
        wire.send(...accepts, '', '');
        echo(wire);
      });
      const wire = ask(front);
      const { length } = await wire.answer();
      const bytes = randomBytes(2 ** 20).toString('latin1');
      wire.send(bytes);
      await until(
        () => wire.received.length,
        (received) => received >= length + bytes.length,
      );
      assert.equal(wire.received.slice(length) === bytes, true);
    },
  },
  {
    name: 'another protocol than WebSocket is a tunnel too',
    options,
    charges: 1,
    run: async (rig) => {
      const front = await rig.speak(async (wire) => {
        await headOf(wire);
        wire.send('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: echo/2', '', '');
        echo(wire);
      });
      const wire = front.connect().send(front.get('/', 'Connection: Upgrade', 'Upgrade: echo/2'));
      const { status, lines } = await wire.answer();
      assert.equal(status, 101);
      assert.deepEqual(valuesOf(lines, 'upgrade'), ['echo/2']);
      wire.send('there and back');
      await wire.waitFor('there and back');
    },
  },
  ...[
    { status: '403 Forbidden', charges: 0 },
    { status: '200 OK', charges: 1 },
    { status: '426 Upgrade Required', charges: 0 },
  ].map(
    ({ status, charges }): ProxyCase => ({
      name: `an upgrade that is answered with ${status} is refused with that answer`,
      options,
      charges,
      run: async (rig) => {
        const front = await rig.speak(async (wire) => {
          await headOf(wire);
          wire.send(`HTTP/1.1 ${status}`, 'X-Own: 1', 'Content-Length: 3', '', 'no!');
        });
        const answer = await ask(front).answer();
        assert.equal(answer.statusLine, `HTTP/1.1 ${status}`);
        assert.deepEqual(valuesOf(answer.lines, 'x-own'), ['1']);
        assert.equal(answer.body, 'no!');
      },
    }),
  ),
  {
    name: 'an upgrade to an upstream that is not there is a 502',
    options,
    charges: 0,
    run: async (rig) => {
      const front = await rig.front('http://127.0.0.1:1');
      assert.equal((await ask(front).answer()).status, 502);
    },
  },
  {
    name: 'an upstream that ends the tunnel ends it for the caller, after what it said',
    options,
    run: async (rig) => {
      const front = await echoing(rig, (wire) => wire.socket.end('goodbye'));
      const wire = ask(front);
      assert.equal((await wire.answer()).status, 101);
      assert.match(await wire.waitForClose(), /goodbye$/);
    },
  },
  {
    name: 'a caller that leaves the tunnel takes the upstream along',
    options,
    run: async (rig) => {
      const front = await echoing(rig);
      const wire = ask(front);
      assert.equal((await wire.answer()).status, 101);
      wire.leave();
      await until(
        () => front.upstream.every((socket) => socket.destroyed),
        (isOver) => isOver,
      );
    },
  },
  {
    name: 'a tunnel in which nothing moves is ended with 1001, a busy one is not',
    options: { ...options, readTimeoutMs: 1_000 },
    run: async (rig) => {
      const front = await echoing(rig);
      const [idle, busy] = [ask(front), ask(front)];
      await Promise.all([idle.answer(), busy.answer()]);
      // A ping of the caller's, which the upstream sends back: each is one move.
      const ping = '\x89\x80\0\0\0\0';
      const moving = setInterval(() => busy.send(ping), 100);
      try {
        const received = await idle.waitForClose();
        assert.equal(received.endsWith(goingAway), true, JSON.stringify(received));
        assert.equal(busy.isClosed, false);
      } finally {
        clearInterval(moving);
      }
    },
  },
  {
    name: 'an upgrade that is sent ahead has its turn after the answers before it',
    options,
    charges: 2,
    run: async (rig) => {
      const front = await rig.speak(async (wire) => {
        const { requestLine } = await headOf(wire);
        if (requestLine.includes('/first')) wire.send('HTTP/1.1 200 OK', 'Content-Length: 5', '', 'first');
        else wire.send(...accepts, '', hello);
      });
      const wire = front.connect().send(front.get('/first') + front.get('/second', ...asks));
      assert.equal((await wire.answer()).body, 'first');
      assert.equal((await wire.answer()).status, 101);
      await wire.waitFor(hello);
    },
  },
  {
    name: 'an upgrade that is sent ahead does not stop a large answer before it',
    options,
    run: async (rig) => {
      const size = 8 * 2 ** 20;
      const front = await rig.serve((_request, response) => response.end(Buffer.alloc(size, 'x')));
      const wire = front.connect();
      wire.socket.pause();
      wire.send(front.get('/first') + front.get('/second', 'Connection: Upgrade', 'Upgrade: h2c'));
      await until(
        () => front.asked.length,
        (asked) => asked > 0,
      );
      wire.socket.resume();
      assert.equal((await wire.answer()).body.length, size);
    },
  },
  {
    name: 'an upgrade with a body is an ordinary call',
    options,
    run: async (rig) => {
      let body = '';
      const front = await rig.serve(async (request, response) => {
        for await (const chunk of request) body += chunk;
        response.end('ordinary');
      });
      const head = front.head('POST / HTTP/1.1', 'Host: h', ...asks, 'Content-Length: 4');
      assert.equal((await front.connect().send(`${head}body`).answer()).body, 'ordinary');
      assert.equal(body, 'body');
    },
  },
];

function ask(front: Front, ...fields: string[]): Wire {
  return front.connect().send(front.get('/', ...asks, ...fields));
}

/** An upstream that accepts, does what is asked, and sends back what it hears. */
function echoing(rig: Rig, then: (wire: Wire) => unknown = () => {}): Promise<Front> {
  return rig.speak(async (wire) => {
    await headOf(wire);
    wire.send(...accepts, '', '');
    echo(wire);
    then(wire);
  });
}

function echo({ socket }: Wire): void {
  socket.on('data', (text: string) => socket.write(text, 'latin1'));
}
