// What a caller sends reaches the upstream as it was sent, but for what belongs to one connection (RFC 9110 §7.6.1).

import { strict as assert } from 'node:assert';
import { valuesOf } from '../../helpers/raw-answer.ts';
import type { Wire } from '../../helpers/wire.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';
import { bodyOf, headOf, ok } from './upstreams-of-bytes.ts';

export const requestCases: readonly ProxyCase[] = [
  {
    name: 'path and query arrive byte for byte',
    charges: 8,
    run: async (rig) => {
      const { front, heard } = await listening(rig);
      const targets = ['/a%2Fb', '/a//b', '/a;b;c=d', '/caf%E9/%ff', '/x?', '/x?a=%20+&a&b=%zz', '/x?q|"{}', '/UP%41'];
      for (const target of targets) {
        const { status } = await front.connect().send(front.get(target)).answer();
        assert.equal(status, 200, target);
      }
      assert.deepEqual(
        heard.map((head) => head.requestLine),
        targets.map((target) => `GET ${target} HTTP/1.1`),
      );
    },
  },
  {
    name: 'header fields arrive with their case, their order, repeated where they were repeated',
    run: async (rig) => {
      const fields = ['X-Many: 1', 'x-UPPER: a', 'X-Many: 2', 'x-many: 3', 'Accept: a/b', 'Accept: c/d'];
      const lines = await linesHeard(rig, fields);
      assert.deepEqual(
        lines.filter((line) => fields.includes(line)),
        fields,
      );
    },
  },
  {
    name: 'bytes above 0x7f in field values arrive as they are',
    run: async (rig) => {
      const lines = await linesHeard(rig, ['X-Utf8: caf\xc3\xa9', 'X-Latin1: caf\xe9', 'X-High: \xff\x80']);
      assert.deepEqual(valuesOf(lines, 'x-utf8'), ['caf\xc3\xa9']);
      assert.deepEqual(valuesOf(lines, 'x-latin1'), ['caf\xe9']);
      assert.deepEqual(valuesOf(lines, 'x-high'), ['\xff\x80']);
    },
  },
  {
    name: 'cookies arrive untouched',
    run: async (rig) => {
      const cookies = 'a=1; b="x y"; c; d=%20;e=\xe9';
      assert.deepEqual(valuesOf(await linesHeard(rig, [`Cookie: ${cookies}`]), 'cookie'), [cookies]);
    },
  },
  {
    name: 'fields of the connection, and those that Connection names, do not reach the upstream',
    run: async (rig) => {
      const lines = await linesHeard(rig, [
        'Connection: keep-alive, X-Private',
        'X-Private: 1',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'Proxy-Authorization: Basic eDp5',
        'TE: trailers, deflate',
        'X-Public: 2',
      ]);
      for (const name of ['X-Private', 'Keep-Alive', 'Proxy-Connection', 'Proxy-Authorization', 'TE']) {
        assert.deepEqual(valuesOf(lines, name), [], name);
      }
      assert.doesNotMatch(String(valuesOf(lines, 'connection')), /private/i);
      assert.deepEqual(valuesOf(lines, 'x-public'), ['2']);
    },
  },
  {
    name: 'a caller that asks with Expect: 100-continue is told to go on, and its body arrives',
    run: async (rig) => {
      const front = await rig.serve(async (request, response) => response.end(await bodyOf(request)));
      const wire = front.connect();
      wire.send(front.head('POST / HTTP/1.1', 'Host: h', 'Expect: 100-continue', 'Content-Length: 4'));
      await wire.waitFor('HTTP/1.1 100 ');
      assert.equal((await wire.send('body').answer()).body, 'body');
    },
  },
  {
    name: 'an offer to upgrade to h2c is not taken up: the call is an ordinary one',
    run: async (rig) => {
      const { front, heard } = await listening(rig);
      const fields = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAA'];
      const answer = await front
        .connect()
        .send(front.get('/', ...fields))
        .answer();
      assert.equal(answer.status, 200);
      assert.deepEqual(valuesOf(heard[0]?.lines ?? [], 'http2-settings'), []);
    },
  },
  {
    name: 'a caller of HTTP/1.0, without Host, gets its answer without chunks and then the end',
    run: async (rig) => {
      const front = await rig.serve((_request, response) => {
        response.write('in ');
        response.end('chunks');
      });
      const wire = front.connect().send(front.head('GET / HTTP/1.0'));
      const received = await wire.waitForClose();
      assert.match(received, /^HTTP\/1\.[01] 200 /);
      assert.doesNotMatch(received, /transfer-encoding/i);
      assert.equal(received.slice(received.indexOf('\r\n\r\n') + 4), 'in chunks');
    },
  },
  {
    name: 'requests sent ahead of their answers are answered in order',
    charges: 3,
    run: async (rig) => {
      const front = await rig.serve((request, response) => {
        response.end(request.url === '/1' ? 'x'.repeat(300_000) : request.url);
      });
      const wire = front.connect().send(front.get('/1') + front.get('/2') + front.get('/3'));
      assert.equal((await wire.answer()).body.length, 300_000);
      assert.equal((await wire.answer()).body, '/2');
      assert.equal((await wire.answer()).body, '/3');
    },
  },
  {
    name: 'one connection serves one call after another',
    run: async (rig) => {
      const front = await rig.serve((request, response) => response.end(request.url));
      const wire = front.connect();
      for (const path of ['/1', '/2', '/3']) assert.equal((await wire.send(front.get(path)).answer()).body, path);
    },
  },
  {
    name: 'an empty line before a request is passed over',
    run: async (rig) => {
      const { front } = await listening(rig);
      assert.equal((await front.connect().send('\r\n', front.get('/')).answer()).status, 200);
    },
  },
  {
    name: 'a target in absolute form goes to the upstream like any other',
    run: async (rig) => {
      const { front, heard } = await listening(rig);
      const answer = await front.connect().send(front.get('http://h/a%2Fb?c')).answer();
      assert.equal(answer.status, 200);
      assert.equal(heard[0]?.requestLine, 'GET /a%2Fb?c HTTP/1.1');
    },
  },
  {
    name: 'a header of 12 kB arrives whole',
    run: async (rig) => {
      const value = 'x'.repeat(12_000);
      assert.deepEqual(valuesOf(await linesHeard(rig, [`X-Large: ${value}`]), 'x-large'), [value]);
    },
  },
];

/** An upstream that answers every request with 200, and notes its header. */
async function listening(rig: Rig): Promise<{ front: Front; heard: { requestLine: string; lines: string[] }[] }> {
  const heard: { requestLine: string; lines: string[] }[] = [];
  const talk = async (wire: Wire) => {
    const head = await headOf(wire);
    heard.push(head);
    wire.send(...ok('whole'));
    wire.socket.end();
  };
  return { front: await rig.speak(talk), heard };
}

/** The header lines that the upstream hears of a GET with these fields. */
async function linesHeard(rig: Rig, fields: readonly string[]): Promise<string[]> {
  const { front, heard } = await listening(rig);
  const { status } = await front
    .connect()
    .send(front.get('/', ...fields))
    .answer();
  assert.equal(status, 200);
  return heard[0]?.lines ?? [];
}
