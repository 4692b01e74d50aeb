// Who a call comes from, and what the upstream is told of it: pure. The address of a connection is a fact; what its
// header says of earlier hops is believed of trusted proxies alone, and read from the right, because each hop appends
// and only what trusted ones have appended is vouched for.

import { BlockList, isIP } from 'node:net';
import { parseRange } from '../config/addresses.ts';

/** The proxies whose word is taken; null when there are none. */
export type Trust = BlockList | null;

/** What is known of the other end of a connection, and the forwarding fields for the upstream. */
export interface Peer {
  readonly isTrusted: boolean;
  /** The nearest address that is no trusted proxy, or the farthest that a trusted one vouched for; `unknown` when the
   * connection has none any more. */
  readonly clientAddress: string;
  /** X-Forwarded-For: all that is vouched for, and the peer. */
  readonly forwardedFor: string;
  /** X-Forwarded-Proto. */
  readonly forwardedProto: string;
  /** X-Forwarded-Host; null when nobody named a host. */
  readonly forwardedHost: string | null;
  /** Forwarded (RFC 7239): the trusted peer's elements, and ours. */
  readonly forwarded: string;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Compiles `server.trustedProxies`, which the configuration has checked. */
export function compileTrust(ranges: readonly string[]): Trust {
  if (ranges.length === 0) return null;
  const trust = new BlockList();
  for (const text of ranges) {
    const range = parseRange(text);
    if (range === null) throw new Error(`${text} is no range of addresses`);
    trust.addSubnet(range.address, range.prefix, range.family);
  }
  return trust;
}

/**
 * What is known of the peer at `remoteAddress` that sent `headers` (node:http's: lower case, repeated fields joined).
 * `clientHost` is the `Host` that it named.
 */
export function readPeer(
  trust: Trust,
  remoteAddress: string | undefined,
  headers: Headers,
  clientHost: string | null,
): Peer {
  const address = plainAddress(remoteAddress);
  if (trust === null || !isTrustedAddress(trust, address)) {
    return {
      isTrusted: false,
      clientAddress: address,
      forwardedFor: address,
      forwardedProto: 'http',
      forwardedHost: clientHost,
      forwarded: forwardedElement(address, clientHost, 'http'),
    };
  }
  const hops = readHops(valueIn(headers, 'x-forwarded-for'));
  const { farthest, place, trusted } = vouchedFor(trust, address, hops);
  const proto = matching(itemIn(headers, 'x-forwarded-proto', trusted), schemePattern)?.toLowerCase() ?? 'http';
  const host = matching(itemIn(headers, 'x-forwarded-host', trusted), hostPattern) ?? clientHost;
  const elements = valueIn(headers, 'forwarded');
  return {
    isTrusted: true,
    clientAddress: farthest,
    forwardedFor: [...hops, address].join(', '),
    forwardedProto: proto,
    forwardedHost: host,
    forwarded: forwardedPattern.test(elements)
      ? `${elements}, ${forwardedElement(address, clientHost, 'http')}`
      : elementsFor([...hops, address], place, host, proto),
  };
}

/**
 * Whether a field (lower case) of a trusted peer passes as it was sent: X-Forwarded-Port, -Prefix and the like. Not the
 * spelling with `_`, which a proxy that knows its own fields by name may have let through from anybody.
 */
export function isPassedFromProxy(key: string): boolean {
  return key.startsWith('x-forwarded-') && !composedFields.has(key);
}

const composedFields: ReadonlySet<string> = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']);

/** `ws` and `wss` are what some proxies say of an upgrade. */
const schemePattern = /^(?:https?|wss?)$/i;

const hostPattern = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,255})(?::\d{1,5})?$/i;

const forwardedPattern = forwardedListPattern();

/** RFC 7239 §4, with blanks around the separators. Every repetition begins with a separator, so it takes linear time. */
function forwardedListPattern(): RegExp {
  const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
  const quoted = String.raw`"(?:[\t\x20-\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"`;
  const pair = `${token}=(?:${token}|${quoted})`;
  return new RegExp(`^${pair}(?:[ \\t]*[;,][ \\t]*${pair})*$`);
}

/** More than any chain of proxies has; what is farther away is dropped. */
const hopsMax = 64;

/**
 * The hops that a trusted peer tells of, nearest last. What stands left of a malformed one is dropped with it: the proxy
 * that wrote it did not say whom it had the rest from.
 */
function readHops(forwardedFor: string): string[] {
  const hops: string[] = [];
  let end = forwardedFor.length;
  while (end > 0 && hops.length < hopsMax) {
    const comma = forwardedFor.lastIndexOf(',', end - 1);
    const hop = forwardedFor.slice(comma + 1, end).trim();
    end = comma;
    // RFC 9110 §5.6.1: empty elements of a list say nothing.
    if (hop === '') continue;
    if (hop !== 'unknown' && addressOf(hop) === null) break;
    hops.push(hop);
  }
  return hops.reverse();
}

/** The address of a hop, which may have a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. Null when there is none. */
function addressOf(hop: string): string | null {
  if (isIP(hop) !== 0) return plainAddress(hop.toLowerCase());
  const address = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(hop)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(hop)?.[1] ?? '';
  return isIP(address) === 0 ? null : plainAddress(address.toLowerCase());
}

interface Vouched {
  readonly farthest: string;
  /** Its place among the hops; behind them all where it is the peer. */
  readonly place: number;
  /** How many of the hops are trusted proxies. */
  readonly trusted: number;
}

/** From the peer on, as long as who vouches is trusted. */
function vouchedFor(trust: BlockList, peer: string, hops: readonly string[]): Vouched {
  let farthest = peer;
  let place = hops.length;
  let trusted = 0;
  for (let i = hops.length - 1; i >= 0; i--) {
    const address = addressOf(hops[i] ?? '');
    if (address === null) break;
    farthest = address;
    place = i;
    if (!isTrustedAddress(trust, address)) break;
    trusted += 1;
  }
  return { farthest, place, trusted };
}

function isTrustedAddress(trust: BlockList, address: string): boolean {
  const version = isIP(address);
  return version !== 0 && trust.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

/** An IPv4 address that arrived on a dual-stack socket is an IPv4 address. */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

/** What X-Forwarded-* says, as `Forwarded` says it. Host and scheme are those that the client, at its place, has used. */
function elementsFor(hops: readonly string[], client: number, host: string | null, proto: string): string {
  const addresses = hops.map((hop) => addressOf(hop) ?? 'unknown');
  return addresses
    .map((address, i) => (i === client ? forwardedElement(address, host, proto) : `for=${quotedNode(address)}`))
    .join(', ');
}

function forwardedElement(address: string, host: string | null, proto: string): string {
  const hostPart = host === null ? '' : `;host="${quotable(host)}"`;
  return `for=${quotedNode(address)}${hostPart};proto=${proto}`;
}

/** RFC 7239: IPv6 addresses in brackets, and what has a colon in quotes. */
function quotedNode(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address;
}

function quotable(text: string): string {
  return text.includes('"') || text.includes('\\') ? text.replaceAll(/["\\]/g, '\\$&') : text;
}

/** A field's value; empty when it is absent. */
function valueIn(headers: Headers, key: string): string {
  return String(headers[key] ?? '');
}

/**
 * What the outermost trusted proxy says, of a field that proxies set or append to: each trusted hop between it and the
 * peer may have added one item, and what stands left of its own is a claim of the client's.
 */
function itemIn(headers: Headers, key: string, trustedHops: number): string {
  const items = valueIn(headers, key).split(',');
  return items[Math.max(0, items.length - 1 - trustedHops)]?.trim() ?? '';
}

function matching(value: string, pattern: RegExp): string | null {
  return pattern.test(value) ? value : null;
}
