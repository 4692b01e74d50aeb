// Requests that are not HTTP, or that two readers could read in two ways (RFC 9112 §11.2): refused, with the connection
// closed, before the upstream hears of them.

import { strict as assert } from 'node:assert';
import { until } from '../../helpers/until.ts';
import type { Wire } from '../../helpers/wire.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';
import { headOf, ok } from './upstreams-of-bytes.ts';

const host = 'Host: h';
const chunks = '4\r\nbody\r\n0\r\n\r\n';

/** What is wrong → the bytes. */
const refused: Readonly<Record<string, (front: Front) => string>> = {
  'two lengths that differ': ({ head }) => `${post(head, 'Content-Length: 4', 'Content-Length: 5')}bodyx`,
  'a list of lengths that differ': ({ head }) => `${post(head, 'Content-Length: 4, 5')}bodyx`,
  'a length with a sign': ({ head }) => `${post(head, 'Content-Length: +4')}body`,
  'a negative length': ({ head }) => post(head, 'Content-Length: -1'),
  'a length and chunks': ({ head }) => post(head, 'Content-Length: 4', 'Transfer-Encoding: chunked') + chunks,
  'an unknown coding before chunks': ({ head }) => post(head, 'Transfer-Encoding: gzip, chunked') + chunks,
  'an unknown coding alone': ({ head }) => `${post(head, 'Transfer-Encoding: gzip')}body`,
  'a coding after chunks': ({ head }) => post(head, 'Transfer-Encoding: chunked, identity') + chunks,
  'chunks in HTTP/1.0': ({ head }) => head('POST / HTTP/1.0', host, 'Transfer-Encoding: chunked') + chunks,
  'a space before the colon of a field': ({ head }) => post(head, 'X-Odd : 1'),
  'a field without a name': ({ head }) => get(head, ': 1'),
  'a line without a colon': ({ head }) => get(head, 'nonsense'),
  'a control character in a value': ({ head }) => get(head, 'X-Odd: a\x01b'),
  'a NUL in a value': ({ head }) => get(head, 'X-Odd: a\0b'),
  'a bare CR in a value': ({ head }) => get(head, 'X-Odd: a\rX-Smuggled: 1'),
  'a NUL in the target': ({ head }) => head('GET /a\0b HTTP/1.1', host),
  'a space in the target': ({ head }) => head('GET /a b HTTP/1.1', host),
  'no Host in HTTP/1.1': ({ head }) => head('GET / HTTP/1.1'),
  'two Host fields': ({ head }) => head('GET / HTTP/1.1', host, 'Host: other'),
  'a Host with a space': ({ head }) => head('GET / HTTP/1.1', 'Host: a b'),
  'a Host with a path': ({ head }) => head('GET / HTTP/1.1', 'Host: h/x'),
  'a Host with a user': ({ head }) => head('GET / HTTP/1.1', 'Host: u@h'),
  'two Authorization fields': ({ head }) => get(head, 'Authorization: Basic eDp5', 'Authorization: Basic eDp6'),
  'a version of HTTP/2': ({ head }) => head('GET / HTTP/2.0', host),
  'the preface of HTTP/2': () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a version that is none': ({ head }) => head('GET / HTPP/1.1', host),
  'the greeting of TLS': () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
};

const refusals: readonly ProxyCase[] = Object.entries(refused).map(([what, bytesFor]) => ({
  name: `a request with ${what} is refused`,
  charges: 0,
  run: async (rig) => {
    const { front, heard } = await upstream(rig);
    await assertRefused(front.connect().send(bytesFor(front)), /^HTTP\/1\.1 (?:4\d\d|501|505) /);
    assert.deepEqual(heard, [], 'the upstream is not called');
  },
}));

export const malformedCases: readonly ProxyCase[] = [
  ...refusals,
  {
    name: 'a header beyond the limit is a 431',
    run: async (rig) => {
      const { front, heard } = await upstream(rig);
      const wire = front.connect().send(front.get('/', `X-Large: ${'x'.repeat(70_000)}`));
      await assertRefused(wire, /^HTTP\/1\.1 431 /);
      assert.deepEqual(heard, []);
    },
  },
  {
    name: 'a URL beyond the limit is a 414',
    run: async (rig) => {
      const { front, heard } = await upstream(rig);
      const wire = front.connect().send(front.get(`/${'x'.repeat(70_000)}`));
      await assertRefused(wire, /^HTTP\/1\.1 414 /);
      assert.deepEqual(heard, []);
    },
  },
  {
    name: 'a folded field is refused, or goes on as one line',
    run: async (rig) => {
      const { front, heard } = await upstream(rig);
      const wire = front.connect().send(get(front.head, 'X-Fold: a', ' b'));
      await wire.waitForClose();
      if (heard.length === 0) await assertRefused(wire, /^HTTP\/1\.1 400 /);
      else assert.match(String(heard), /(?:^|,)X-Fold: a +b(?:,|$)/);
    },
  },
  {
    name: 'lines that end in a bare LF are refused, or go on with proper ends',
    run: async (rig) => {
      const { front, heard } = await upstream(rig);
      const wire = front.connect().send(get(front.head, 'X-Next: a').replaceAll('\r\n', '\n'));
      await wire.waitForClose();
      if (heard.length === 0) await assertRefused(wire, /^HTTP\/1\.1 400 /);
      else assert.match(String(heard), /(?:^|,)X-Next: a(?:,|$)/);
    },
  },
  {
    name: 'a malformed request does not spoil the answer to the one before it',
    charges: 1,
    run: async (rig) => {
      const front = await rig.serve((_request, response) => response.end('x'.repeat(200_000)));
      const wire = front.connect().send(front.get('/') + front.head('GET / HTTP/1.1', 'Host : h'));
      assert.equal((await wire.answer()).body.length, 200_000);
      assert.match(await wire.waitForClose(), /x(?:\r\n0\r\n\r\n)?HTTP\/1\.1 400 /);
    },
  },
  {
    name: 'an upload whose chunks turn to nonsense is given up, and the upstream does not take it for whole',
    charges: 0,
    run: async (rig) => {
      let isBroken = false;
      const front = await rig.serve(async (request) => {
        request.once('data', () => wire.send('nonsense\r\n'));
        await new Promise((resolve) => request.once('close', resolve));
        isBroken = !request.complete;
      });
      const wire = front.connect().send(`${post(front.head, 'Transfer-Encoding: chunked')}4\r\nbody\r\n`);
      await assertRefused(wire, /^HTTP\/1\.1 400 /);
      await until(
        () => isBroken,
        (broken) => broken,
      );
    },
  },
  {
    name: 'CONNECT gets no tunnel',
    run: async (rig) => {
      const { front, heard } = await upstream(rig);
      const received = await front.connect().send(front.head('CONNECT h:80 HTTP/1.1', host)).waitForClose();
      assert.match(received, /^(?:$|HTTP\/1\.1 (?:4\d\d|501) )/);
      assert.deepEqual(heard, []);
    },
  },
  {
    name: 'CONNECT from callers who break off at once does no harm',
    run: async (rig) => {
      const { front } = await upstream(rig);
      for (let round = 0; round < 50; round++) {
        const wire = front.connect();
        wire.send(front.head('CONNECT h:80 HTTP/1.1', host));
        wire.socket.once('connect', () => setImmediate(() => wire.socket.resetAndDestroy()));
        await wire.waitForClose();
      }
      assert.equal((await front.call('/')).status, 200);
    },
  },
];

type Head = Front['head'];

function post(head: Head, ...fields: string[]): string {
  return head('POST / HTTP/1.1', host, ...fields);
}

/** It asks for the end of the connection, so that its end is seen also where the request was not refused. */
function get(head: Head, ...fields: string[]): string {
  return head('GET / HTTP/1.1', host, ...fields, 'Connection: close');
}

/** An upstream that answers every request, and what it has heard: the lines of each header. */
async function upstream(rig: Rig): Promise<{ front: Front; heard: string[][] }> {
  const heard: string[][] = [];
  const front = await rig.speak(async (wire) => {
    heard.push((await headOf(wire)).lines);
    wire.send(...ok('heard'));
  });
  return { front, heard };
}

/** One refusal and then the end, with nothing after it. */
async function assertRefused(wire: Wire, statusLine: RegExp): Promise<void> {
  assert.match((await wire.answer()).statusLine, statusLine);
  assert.equal((await wire.waitForClose()).split('HTTP/1.1 ').length, 2, 'one answer');
}
