// Large bodies pass through without being kept: a gateway in a process of its own, whose memory is looked at while a
// hundred megabytes go up, and then down.

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { request } from 'undici';
import { GatewayProcess } from '../helpers/gateway-process.ts';
import { startUpstream } from '../helpers/upstreams.ts';

const pieceBytes = 64 * 1024;
const pieces = 1_600;
const warmUpPieces = 320;
const growthBytesMax = 50 * 1024 * 1024;
/** Memory is looked at after so many pieces. */
const lookEvery = 160;

const piece = Buffer.alloc(pieceBytes, 'some of it ');
const wholeHash = await hashOf(bulk());

t.test('100 MB up and 100 MB down arrive whole, and the gateway grows by less than 50 MB', async (t) => {
  const gate = await startGate(t);
  const headers = { 'x-api-key': gate.key };
  const url = `http://127.0.0.1:${gate.port}/`;
  // What the first megabytes cost, whose buffers are used again, is no growth.
  await (await request(url, { headers, method: 'POST', body: Readable.from(bulk(warmUpPieces)) })).body.text();
  const before = await gate.residentBytes();
  let growth = 0;
  const look = async () => {
    growth = Math.max(growth, (await gate.residentBytes()) - before);
  };

  const up = await request(url, { headers, method: 'POST', body: Readable.from(bulk(pieces, look)) });
  t.equal(await up.body.text(), wholeHash, 'up');

  const down = await request(url, { headers });
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of down.body) {
    hash.update(chunk);
    const looksBefore = Math.floor(bytes / (lookEvery * pieceBytes));
    bytes += chunk.length;
    if (Math.floor(bytes / (lookEvery * pieceBytes)) > looksBefore) await look();
  }
  t.equal(hash.digest('hex'), wholeHash, 'down');
  t.ok(growth < growthBytesMax, `${growth} bytes of growth`);
});

/** A gateway in front of an upstream that answers POST with the hash of what it got, and GET with all of it. */
async function startGate(t: Test): Promise<GatewayProcess> {
  const upstream = await startUpstream(t, async (request, response) => {
    if (request.method === 'GET') Readable.from(bulk()).pipe(response);
    else response.end(await hashOf(request));
  });
  const gate = await GatewayProcess.start(upstream.url);
  t.teardown(() => gate.remove());
  return gate;
}

async function* bulk(count = pieces, look = async () => {}): AsyncGenerator<Buffer> {
  for (let i = 0; i < count; i++) {
    if (i % lookEvery === 0) await look();
    yield piece;
  }
}

async function hashOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}
