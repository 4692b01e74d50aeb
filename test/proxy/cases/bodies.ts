// Methods and the bodies that come with them: any method goes through, with or without a body, however it is framed.

import { strict as assert } from 'node:assert';
import { METHODS } from 'node:http';
import { valuesOf } from '../../helpers/raw-answer.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';
import { bodyOf } from './upstreams-of-bytes.ts';

/** QUERY, where the parser of this Node knows it. */
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'];

const plainMethods: readonly ProxyCase[] = methods
  .filter((method) => METHODS.includes(method))
  .map((method) => ({
    name: `${method} goes through`,
    charges: 1,
    run: async (rig) => {
      const front = await rig.serve((_request, response) => response.writeHead(204).end());
      const wire = front.connect().send(front.head(`${method} /x HTTP/1.1`, 'Host: h'));
      assert.equal((await wire.answer(method)).status, 204);
      assert.deepEqual(front.asked, [`${method} /x`]);
    },
  }));

const bodiesOfMethods: readonly ProxyCase[] = ['GET', 'DELETE', 'OPTIONS', 'PROPFIND'].map((method) => ({
  name: `${method} with a body goes through with its body`,
  charges: 2,
  run: async (rig) => {
    const front = await echoing(rig);
    const head = (...fields: string[]) => front.head(`${method} / HTTP/1.1`, 'Host: h', ...fields);
    const sized = front.connect().send(`${head('Content-Length: 4')}body`);
    assert.equal((await sized.answer()).body, 'body', 'with a length');
    const chunked = front.connect().send(`${head('Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\n\r\n`);
    assert.equal((await chunked.answer()).body, 'body', 'in chunks');
  },
}));

export const bodyCases: readonly ProxyCase[] = [
  ...plainMethods,
  ...bodiesOfMethods,
  {
    name: 'an upload in chunks arrives whole, whatever the chunks and their extensions',
    run: async (rig) => {
      const front = await echoing(rig);
      const wire = front.connect().send(post(front, 'Transfer-Encoding: chunked'));
      wire
        .send('1;a=b\r\nx\r\n')
        .send('0A;c="d"\r\n0123456789\r\n')
        .send(`ffff\r\n${'y'.repeat(0xffff)}\r\n`);
      assert.equal((await wire.send('0\r\n\r\n').answer()).body, `x0123456789${'y'.repeat(0xffff)}`);
    },
  },
  {
    name: 'the trailers of an upload do no harm',
    run: async (rig) => {
      const front = await echoing(rig);
      const wire = front.connect().send(post(front, 'Trailer: X-Sum', 'Transfer-Encoding: chunked'));
      wire.send('4\r\nbody\r\n0\r\nX-Sum: 1\r\nX-Tollgate-User: root\r\n\r\n');
      assert.equal((await wire.answer()).body, 'body');
      assert.equal((await wire.send(front.get('/')).answer()).status, 200, 'and the connection serves the next call');
    },
  },
  {
    name: 'an upload that says its length arrives with that length and without chunks',
    run: async (rig) => {
      const lines = await linesOfPost(rig, 'Content-Length: 4', 'body');
      assert.deepEqual(valuesOf(lines, 'content-length'), ['4']);
      assert.deepEqual(valuesOf(lines, 'transfer-encoding'), []);
    },
  },
  {
    name: 'an upload of nothing says so',
    run: async (rig) => {
      const lines = await linesOfPost(rig, 'Content-Length: 0', '');
      assert.deepEqual(valuesOf(lines, 'content-length'), ['0']);
    },
  },
  {
    name: 'the bytes of an upload are not looked at, whatever type and coding it claims',
    run: async (rig) => {
      const front = await echoing(rig);
      for (const type of ['application/json', 'text/plain', 'no type', 'a/b;', 'multipart/form-data']) {
        const fields = [`Content-Type: ${type}`, 'Content-Encoding: gzip', 'Content-Length: 5'];
        const { status, body } = await front
          .connect()
          .send(`${post(front, ...fields)}{\0\xffd}`)
          .answer();
        assert.deepEqual([status, body], [200, '{\0\xffd}'], type);
      }
    },
  },
];

function echoing(rig: Rig): Promise<Front> {
  return rig.serve(async (request, response) => void response.end(await bodyOf(request), 'latin1'));
}

function post(front: Front, ...fields: string[]): string {
  return front.head('POST / HTTP/1.1', 'Host: h', ...fields);
}

/** The header lines that an upstream hears of a POST. */
async function linesOfPost(rig: Rig, field: string, body: string): Promise<string[]> {
  let rawHeaders: string[] = [];
  const front = await rig.serve((request, response) => {
    rawHeaders = request.rawHeaders;
    request.resume().once('end', () => response.end());
  });
  assert.equal(
    (
      await front
        .connect()
        .send(post(front, field) + body)
        .answer()
    ).status,
    200,
  );
  return rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : []));
}
