// What the fuzz sends: requests as they should be, then bent, cut and mixed. One character is one byte (Latin-1).

import type { Random } from '../helpers/random.ts';

/** Bytes for one connection, and how they are sent. */
export interface FuzzCase {
  /** Written one after the other, each in a write of its own. */
  readonly writes: readonly string[];
  /** What the caller does then. */
  readonly end: 'waits' | 'half-closes' | 'leaves' | 'resets';
}

const ends = ['waits', 'waits', 'half-closes', 'leaves', 'resets'] as const;
const paths = ['/', '/a/b?x=1', '/caf%E9', '/dear/x', '/upload', '/_tollgate/x', '/%2e%2e/a', 'http://h/a', '*', '//a'];
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND', 'CONNECT', 'get', 'G\x01T'];
const versions = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/1.', 'HTP/1.1', ''];
const lengths = ['4', '0', '5000', '-1', '+4', '4, 4', '0x4', '9007199254740993', '99999999999999999999', '4 4'];
const codings = ['chunked', 'Chunked', 'gzip, chunked', 'chunked, chunked', 'identity', 'x', 'chunked;q=1'];
const bodies = [
  'body',
  '4\r\nbody\r\n0\r\n\r\n',
  '4;a=b\r\nbody\r\n0\r\nX: y\r\n\r\n',
  '4\r\nbody',
  'ffffffffffffffff\r\nbody\r\n',
  '-1\r\nbody\r\n',
  '4\nbody\n0\n\n',
  '0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n',
  '',
];
const oddFields = [
  'Expect: 100-continue',
  'Expect: 200-ok',
  'Connection: close',
  'Connection: keep-alive, x-odd',
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA',
  'Upgrade: echo',
  'Host: other',
  'Host: a b',
  'Via: 1.1 tollgate',
  'TE: trailers',
  'Trailer: X-T',
  'Range: bytes=0-1',
  'X-Odd : space',
  'X-Odd: a\x00b',
  'X-Odd: \xff\xfe',
  ' folded: line',
  ': no name',
  'nonsense',
  'Authorization: Basic eDp5',
  'Authorization: Bearer tg_nonsense',
  'X-Tollgate-User: root',
  'Content-Type: nonsense',
  'Accept: application/problem+json',
  'Cookie: a=b; c',
];

/** Draws what one connection says. `key` is a good key, which most requests carry. */
export function drawCase(random: Random, key: string): FuzzCase {
  const requests = random.percent(15) ? 2 + random.below(4) : 1;
  let text = '';
  for (let i = 0; i < requests; i++) text += drawRequest(random, key);
  if (random.percent(60)) text = bend(random, text);
  if (random.percent(20)) text = text.slice(0, random.below(text.length + 1));
  return { writes: split(random, text), end: random.of(ends) };
}

function drawRequest(random: Random, key: string): string {
  if (random.percent(3)) return noise(random, 1 + random.below(2_000));
  const method = random.percent(70) ? random.of(['GET', 'POST']) : random.of(methods);
  const lines = [`${method} ${drawPath(random)} ${random.percent(90) ? 'HTTP/1.1' : random.of(versions)}`];
  if (random.percent(95)) lines.push('Host: h');
  if (random.percent(80)) lines.push(`X-Api-Key: ${key}`);
  while (random.percent(30)) lines.push(random.of(oddFields));
  if (random.percent(2)) lines.push(`X-Long: ${'x'.repeat(random.below(40_000))}`);
  const hasBody = method === 'POST' ? random.percent(90) : random.percent(10);
  let body = '';
  if (hasBody) {
    body = random.of(bodies);
    if (random.percent(50)) lines.push(`Content-Length: ${random.percent(70) ? body.length : random.of(lengths)}`);
    else lines.push(`Transfer-Encoding: ${random.percent(80) ? 'chunked' : random.of(codings)}`);
    if (random.percent(3)) lines.push(`Content-Length: ${random.of(lengths)}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

function drawPath(random: Random): string {
  if (random.percent(1)) return `/${'a'.repeat(random.below(40_000))}`;
  return random.percent(60) ? '/a' : random.of(paths);
}

/** A few changes at random places. */
function bend(random: Random, text: string): string {
  let bent = text;
  for (let i = 1 + random.below(4); i > 0 && bent.length > 0; i--) {
    const at = random.below(bent.length);
    const until = at + 1 + random.below(20);
    const change = random.below(6);
    if (change === 0) bent = bent.slice(0, at) + noise(random, 1) + bent.slice(at + 1);
    else if (change === 1) bent = bent.slice(0, at) + noise(random, 1 + random.below(8)) + bent.slice(at);
    else if (change === 2) bent = bent.slice(0, at) + bent.slice(until);
    else if (change === 3) bent = bent.slice(0, until) + bent.slice(at);
    else if (change === 4)
      bent = bent.replace(random.percent(50) ? '\r\n' : '\r', random.of(['\n', '\r', '\r\n\r\n', '']));
    else bent = shuffleLines(random, bent);
  }
  return bent;
}

function shuffleLines(random: Random, text: string): string {
  const lines = text.split('\r\n');
  const [taken = ''] = lines.splice(random.below(lines.length), 1);
  lines.splice(random.below(lines.length + 1), 0, taken);
  return lines.join('\r\n');
}

function split(random: Random, text: string): string[] {
  const writes: string[] = [];
  let rest = text;
  while (rest.length > 1 && writes.length < 5 && random.percent(30)) {
    const at = 1 + random.below(rest.length - 1);
    writes.push(rest.slice(0, at));
    rest = rest.slice(at);
  }
  return [...writes, rest];
}

function noise(random: Random, length: number): string {
  return Array.from({ length }, () => String.fromCharCode(random.below(256))).join('');
}
