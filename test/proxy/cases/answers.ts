// What a caller gets is what the upstream said (RFC 9110), but for what belongs to one connection.

import { strict as assert } from 'node:assert';
import { gzipSync } from 'node:zlib';
import { type RawAnswer, valuesOf } from '../../helpers/raw-answer.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';
import { headOf } from './upstreams-of-bytes.ts';

/** A status line → what the caller's has to be. */
const statusLines: Readonly<Record<string, string>> = {
  'HTTP/1.1 200 Splendid': 'HTTP/1.1 200 Splendid',
  'HTTP/1.1 226 IM Used': 'HTTP/1.1 226 IM Used',
  'HTTP/1.1 299 Odd': 'HTTP/1.1 299 Odd',
  'HTTP/1.1 418 Short and stout': 'HTTP/1.1 418 Short and stout',
  'HTTP/1.1 451 Unavailable For Legal Reasons': 'HTTP/1.1 451 Unavailable For Legal Reasons',
  'HTTP/1.1 599 Odd': 'HTTP/1.1 599 Odd',
};

export const answerCases: readonly ProxyCase[] = [
  ...Object.entries(statusLines).map(
    ([said, heard]): ProxyCase => ({
      name: `${said} arrives with its reason phrase`,
      charges: said.startsWith('HTTP/1.1 2') ? 1 : 0,
      run: async (rig) => {
        const { statusLine, body } = await answerTo(rig, [said, 'Content-Length: 2', '', 'ok']);
        assert.equal(statusLine, heard);
        assert.equal(body, 'ok');
      },
    }),
  ),
  {
    name: 'a reason phrase that is not ASCII, or none, is no obstacle',
    run: async (rig) => {
      for (const phrase of ['Schön', '\xff', '']) {
        const { status, body } = await answerTo(rig, [`HTTP/1.1 200 ${phrase}`, 'Content-Length: 2', '', 'ok']);
        assert.equal(status, 200);
        assert.equal(body, 'ok');
      }
    },
  },
  {
    name: 'fields of an answer arrive with their case, their order, repeated where they were repeated',
    run: async (rig) => {
      const own = [
        'X-One: 1',
        'x-TWO: 2',
        'Set-Cookie: a=1; Path=/',
        'X-One: 3',
        'Set-Cookie: b=2',
        'WWW-Authenticate: A',
      ];
      const { lines } = await answerTo(rig, ['HTTP/1.1 200 OK', ...own, 'Content-Length: 0', '', '']);
      assert.deepEqual(
        lines.filter((line) => own.includes(line)),
        own,
      );
    },
  },
  {
    name: 'bytes above 0x7f in the fields of an answer arrive as they are',
    run: async (rig) => {
      const own = ['X-Name: caf\xe9', 'Content-Disposition: attachment; filename="\xc3\xa9.txt"', 'X-Raw: \x80\xff'];
      const { lines } = await answerTo(rig, ['HTTP/1.1 200 OK', ...own, 'Content-Length: 0', '', '']);
      for (const line of own) assert.equal(lines.includes(line), true, `${line} in ${lines.join(' | ')}`);
    },
  },
  {
    name: "fields of the upstream's connection do not reach the caller",
    run: async (rig) => {
      const own = [
        'Connection: x-gone, close',
        'X-Gone: 1',
        'Keep-Alive: timeout=9',
        'Proxy-Authenticate: Basic',
        'Proxy-Connection: x',
      ];
      const { lines } = await answerTo(rig, ['HTTP/1.1 200 OK', ...own, 'X-Kept: 1', 'Content-Length: 0', '', '']);
      for (const name of ['x-gone', 'proxy-authenticate', 'proxy-connection'])
        assert.deepEqual(valuesOf(lines, name), []);
      assert.doesNotMatch(valuesOf(lines, 'keep-alive').join(), /9/);
      assert.doesNotMatch(valuesOf(lines, 'connection').join(), /x-gone/);
      assert.deepEqual(valuesOf(lines, 'x-kept'), ['1']);
    },
  },
  {
    name: 'HEAD gets the header that GET would get, and nothing else; the connection goes on',
    charges: 2,
    run: async (rig) => {
      const front = await rig.serve((_request, response) =>
        response.writeHead(200, { 'content-length': 12 }).end('twelve bytes'),
      );
      const wire = front.connect().send(front.head('HEAD / HTTP/1.1', 'Host: h'));
      const head = await wire.answer('HEAD');
      assert.deepEqual(valuesOf(head.lines, 'content-length'), ['12']);
      assert.equal((await wire.send(front.get('/')).answer()).body, 'twelve bytes');
    },
  },
  {
    name: 'HEAD is answered where the upstream announces chunks and trailers',
    charges: 1,
    run: async (rig) => {
      const front = await rig.speak(async (wire) => {
        await headOf(wire);
        wire.send('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Trailer: X-Sum', '', '');
      });
      const wire = front.connect().send(front.head('HEAD / HTTP/1.1', 'Host: h'));
      assert.equal((await wire.answer('HEAD')).status, 200);
    },
  },
  ...[
    { line: 'HTTP/1.1 204 No Content', fields: ['ETag: "1"'], charges: 1 },
    { line: 'HTTP/1.1 304 Not Modified', fields: ['ETag: "1"', 'Content-Length: 9'], charges: 0 },
  ].map(
    ({ line, fields, charges }): ProxyCase => ({
      name: `${line} has no body, and the connection goes on`,
      charges: charges * 2,
      run: async (rig) => {
        const front = await rig.speak((wire) => {
          wire.socket.on('data', () => wire.send(line, ...fields, '', ''));
        });
        const wire = front.connect();
        for (const path of ['/1', '/2']) {
          const answer = await wire.send(front.get(path)).answer();
          assert.equal(answer.statusLine, line);
          assert.deepEqual(valuesOf(answer.lines, 'etag'), ['"1"']);
          assert.deepEqual(valuesOf(answer.lines, 'transfer-encoding'), []);
        }
      },
    }),
  ),
  {
    name: 'interim answers arrive before the final one, and 100 is put up with',
    charges: 1,
    run: async (rig) => {
      const front = await rig.speak(async (wire) => {
        await headOf(wire);
        wire.send('HTTP/1.1 100 Continue', '', 'HTTP/1.1 103 Early Hints', 'Link: </a.css>; rel=preload', '', '');
        wire.send('HTTP/1.1 102 Processing', '', 'HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok');
      });
      const wire = front.connect().send(front.get('/'));
      assert.equal((await wire.answer()).body, 'ok');
      assert.deepEqual(wire.interim, [103, 102]);
      assert.match(wire.received, /\r\nLink: <\/a\.css>; rel=preload\r\n/);
    },
  },
  {
    name: 'a caller of HTTP/1.0 gets no interim answers, which it would take for the final one',
    run: async (rig) => {
      const front = await rig.speak(async (wire) => {
        await headOf(wire);
        wire.send('HTTP/1.1 103 Early Hints', 'Link: </a>', '', 'HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok');
      });
      const received = await front.connect().send(front.head('GET / HTTP/1.0')).waitForClose();
      assert.match(received, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/);
    },
  },
  {
    name: 'trailers reach a caller that takes them, and harm no other',
    charges: 2,
    run: async (rig) => {
      const said = [
        'HTTP/1.1 200 OK',
        'Transfer-Encoding: chunked',
        'Trailer: X-Sum',
        '',
        '2',
        'ok',
        '0',
        'X-Sum: 7',
        '',
        '',
      ];
      const front = await rig.speak((wire) => {
        wire.socket.on('data', () => wire.send(...said));
      });
      const taking = front.connect().send(front.get('/', 'TE: trailers', 'Connection: TE'));
      assert.equal((await taking.answer()).body, 'ok');
      assert.match(taking.received, /\r\n0\r\nX-Sum: 7\r\n\r\n$/i, JSON.stringify(taking.received));
      const other = front.connect().send(front.get('/'));
      assert.equal((await other.answer()).body, 'ok');
    },
  },
  ...[301, 302, 307, 308].map(
    (status): ProxyCase => ({
      name: `a redirect of ${status} is the caller's to follow`,
      charges: 0,
      run: async (rig) => {
        const front = await rig.serve((_request, response) =>
          response.writeHead(status, { location: 'https://elsewhere.example/x' }).end(),
        );
        const { lines } = await front.connect().send(front.get('/')).answer();
        assert.deepEqual(valuesOf(lines, 'location'), ['https://elsewhere.example/x']);
        assert.equal(front.asked.length, 1);
      },
    }),
  ),
  {
    name: 'a compressed answer arrives byte for byte',
    run: async (rig) => {
      const bytes = gzipSync('something to compress');
      const front = await rig.serve((_request, response) =>
        response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'text/plain' }).end(bytes),
      );
      const { body, lines } = await front.connect().send(front.get('/', 'Accept-Encoding: gzip')).answer();
      assert.equal(body, bytes.toString('latin1'));
      assert.deepEqual(valuesOf(lines, 'content-encoding'), ['gzip']);
    },
  },
  {
    name: 'an answer in chunks arrives in chunks, one with a length with that length',
    run: async (rig) => {
      const chunked = await answerTo(rig, [
        'HTTP/1.1 200 OK',
        'Transfer-Encoding: chunked',
        '',
        '2',
        'ok',
        '0',
        '',
        '',
      ]);
      assert.equal(chunked.body, 'ok');
      assert.deepEqual(valuesOf(chunked.lines, 'content-length'), []);
      const measured = await answerTo(rig, ['HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok']);
      assert.deepEqual(valuesOf(measured.lines, 'content-length'), ['2']);
      assert.deepEqual(valuesOf(measured.lines, 'transfer-encoding'), []);
    },
  },
  {
    name: 'an upstream of HTTP/1.0 is understood, and its end is the end of the answer',
    charges: 1,
    run: async (rig) => {
      const { body } = await answerTo(rig, ['HTTP/1.0 200 OK', 'X-Own: 1', '', 'all of it']);
      assert.equal(body, 'all of it');
    },
  },
  {
    name: 'an answer with a header of 16 kB arrives whole',
    run: async (rig) => {
      const value = 'x'.repeat(16_000);
      const { lines } = await answerTo(rig, ['HTTP/1.1 200 OK', `X-Large: ${value}`, 'Content-Length: 0', '', '']);
      assert.deepEqual(valuesOf(lines, 'x-large'), [value]);
    },
  },
  {
    name: "the host of the upstream is its own, or the caller's where that is asked for",
    options: { preserveHost: true },
    run: async (rig) => {
      const front = await rig.serve((request, response) => response.end(request.headers.host));
      const { body } = await front.connect().send(front.head('GET / HTTP/1.1', 'Host: gate.example')).answer();
      assert.equal(body, 'gate.example');
    },
  },
];

/** What a caller gets when the upstream says these lines, and closes. */
async function answerTo(rig: Rig, lines: readonly string[]): Promise<RawAnswer> {
  const front: Front = await rig.speak(async (wire) => {
    await headOf(wire);
    wire.send(...lines);
    wire.socket.end();
  });
  return front.connect().send(front.get('/')).answer();
}
