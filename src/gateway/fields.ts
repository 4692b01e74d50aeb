// Which header fields travel: pure. Of the request, everything but what belongs to one connection, what the gateway
// vouches for itself, and credentials; of the answer, everything but what belongs to one connection and what only the
// gateway may say or set. Rules of a route are compiled once; a request costs one pass over its fields.

import type { HeaderRules, Route, Upstream } from '../config/config.ts';
import { hopByHopFields } from '../config/hop-by-hop.ts';
import { setsOwnCookie, withoutOwnCookies } from '../config/own-cookies.ts';
import { isPassedFromProxy, type Peer, readPeer, type Trust } from './peer.ts';
import type { Site } from './site.ts';
import { locationOf, type Way } from './target.ts';
import { createTraceparent, isTraceparent } from './trace.ts';

/** What a route and its upstream mean for the fields of a call. */
export interface FieldRules extends Way {
  /** The upstream's own `Host`. */
  readonly host: string;
  readonly request: CompiledRules;
  readonly response: CompiledRules;
  /**
   * What answers vary by, whoever may call: with `updateViaCache: 'all'` a browser may take the script of a service worker
   * from its cache, where an ordinary request has put it. Null where workers are served.
   */
  readonly addedVary: readonly string[] | null;
  /** Whose forwarding fields are believed. */
  readonly trust: Trust;
}

interface CompiledRules {
  /** Names, lower case, that do not pass: removed, or set to something else. */
  readonly dropped: ReadonlySet<string>;
  /** Name, value, name, value… */
  readonly set: readonly string[];
  /** Names, lower case, of what is set. */
  readonly names: ReadonlySet<string>;
}

/** What is read from a client's request: `node:http`'s IncomingMessage is one. */
export interface ClientRequest {
  readonly rawHeaders: readonly string[];
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly httpVersion: string;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** Who is calling, as far as the fields go. `credentialField` (lower case) held the credential that was used. */
export interface CallerFacts {
  readonly requestId: string;
  readonly userId: string | null;
  readonly credentialField: string | null;
}

/** What the gateway adds to an answer. `credits` is null on a route that is not metered. */
export interface AnswerFacts {
  readonly requestId: string;
  readonly clientHost: string | null;
  readonly credits: { readonly cost: number; readonly remaining: number } | null;
}

const droppedFromRequest: ReadonlySet<string> = new Set([
  ...hopByHopFields,
  'expect',
  // The gateway's own to say.
  'host',
  'forwarded',
  'x-request-id',
  // A second method or path beside the one that was matched and priced.
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
]);

const hopByHop: ReadonlySet<string> = new Set(hopByHopFields);
const ownPrefixes = ['x-tollgate-', 'x-credits-', 'x-forwarded-'];
const noNames: ReadonlySet<string> = new Set();

/** Compiles what a route and its upstream say about fields; `trust` and `site` are the gateway's. */
export function compileFieldRules(route: Route, upstream: Upstream, trust: Trust, site: Site): FieldRules {
  return {
    route,
    upstream,
    prefix: site.prefix,
    host: new URL(upstream.url).host,
    request: compileRules(route.headers.request),
    response: withDropped(compileRules(route.headers.response), site.isShared ? ['service-worker-allowed'] : []),
    addedVary: site.isShared ? ['service-worker'] : null,
    trust,
  };
}

function compileRules(rules: HeaderRules): CompiledRules {
  const names = Object.keys(rules.set).map((name) => name.toLowerCase());
  return {
    dropped: new Set([...rules.remove.map((name) => name.toLowerCase()), ...names]),
    set: Object.entries(rules.set).flat(),
    names: new Set(names),
  };
}

function withDropped(rules: CompiledRules, names: readonly string[]): CompiledRules {
  return { ...rules, dropped: new Set([...rules.dropped, ...names]) };
}

/** The fields for the upstream: name, value, name, value…; repeated ones stay repeated and in order. */
export function requestFields(request: ClientRequest, rules: FieldRules, caller: CallerFacts): string[] {
  const { rawHeaders, headers } = request;
  const { dropped } = rules.request;
  const named = namesInConnection(headers['connection']);
  const isTraced = isTraceparent(headers['traceparent']);
  const peer = readPeer(rules.trust, request.socket.remoteAddress, headers, hostOf(request));
  const fields: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const value = rawHeaders[i + 1] ?? '';
    const key = name.toLowerCase();
    if (isGatewaysOwn(key) && !(peer.isTrusted && isPassedFromProxy(key))) continue;
    if (named.has(key) || dropped.has(key)) continue;
    // A cookie has a name before its value: one named `tg_…` is the upstream's own.
    if (key === caller.credentialField || (key !== 'cookie' && isApiKey(value))) continue;
    if (!isTraced && (key === 'traceparent' || key === 'tracestate')) continue;
    const passing = key === 'cookie' ? withoutOwnCookies(value) : value;
    if (passing !== null) fields.push(name, passing);
  }
  addOwnFields(fields, request, rules, caller, peer);
  if (!isTraced && !dropped.has('traceparent')) fields.push('traceparent', createTraceparent());
  for (const part of rules.request.set) fields.push(part);
  return fields;
}

/** Names are compared `_`-blind: many servers make one variable of `X_Forwarded_For` and `X-Forwarded-For`. */
function isGatewaysOwn(key: string): boolean {
  const name = key.includes('_') ? key.replaceAll('_', '-') : key;
  return (
    droppedFromRequest.has(name) || (name.startsWith('x-') && ownPrefixes.some((prefix) => name.startsWith(prefix)))
  );
}

function addOwnFields(
  fields: string[],
  request: ClientRequest,
  rules: FieldRules,
  caller: CallerFacts,
  peer: Peer,
): void {
  const { dropped } = rules.request;
  const add = (key: string, name: string, value: string) => {
    if (!dropped.has(key)) fields.push(name, value);
  };
  fields.push('Host', rules.upstream.preserveHost ? (hostOf(request) ?? rules.host) : rules.host);
  if (caller.userId !== null) fields.push('X-Tollgate-User', caller.userId);
  add('x-request-id', 'X-Request-Id', caller.requestId);
  add('x-forwarded-for', 'X-Forwarded-For', peer.forwardedFor);
  add('x-forwarded-proto', 'X-Forwarded-Proto', peer.forwardedProto);
  if (peer.forwardedHost !== null) add('x-forwarded-host', 'X-Forwarded-Host', peer.forwardedHost);
  add('forwarded', 'Forwarded', peer.forwarded);
  add('via', 'Via', request.httpVersion === '1.1' ? '1.1 tollgate' : `${request.httpVersion} tollgate`);
}

/** The host that the client named, or null (HTTP/1.0 may leave it out). */
export function hostOf(request: Pick<ClientRequest, 'headers'>): string | null {
  const host = request.headers['host'];
  return typeof host === 'string' && host !== '' ? host : null;
}

/** Whether a value is an API key of the gateway, whichever field it is in. */
function isApiKey(value: string): boolean {
  const first = value.charCodeAt(0) | 0x20;
  if (first === 0x74) return value.startsWith('tg_');
  return first === 0x62 && /^bearer\s+tg_/i.test(value);
}

function namesInConnection(connection: string | string[] | undefined): ReadonlySet<string> {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return noNames;
  const names = String(connection).toLowerCase().split(',');
  return new Set(names.map((name) => name.trim()));
}

/**
 * The fields for the caller, from the upstream's, with names and bytes as sent. `credentialNames` are the fields that a
 * shared cache has to tell callers apart by; null on a public route.
 */
export function answerFields(
  upstreamFields: readonly string[],
  rules: FieldRules,
  credentialNames: readonly string[] | null,
  facts: AnswerFacts,
): string[] {
  const named = namesInConnection(fieldValue(upstreamFields, 'connection'));
  const { dropped, set } = rules.response;
  const fields: string[] = [];
  let saysHowToCache = rules.response.names.has('cache-control');
  for (let i = 0; i + 1 < upstreamFields.length; i += 2) {
    const name = upstreamFields[i] ?? '';
    const value = upstreamFields[i + 1] ?? '';
    const key = name.toLowerCase();
    if (staysBehind(key, value) || named.has(key) || dropped.has(key)) continue;
    if (key === 'cache-control') saysHowToCache = true;
    if (key === 'content-disposition') {
      // After a Content-Length, Node.js would take the bytes of this one field for UTF-8 and refuse or rewrite them.
      fields.unshift(name, value);
    } else {
      fields.push(name, isLocation(key) ? locationOf(rules, value, facts.clientHost) : value);
    }
  }
  for (const part of set) fields.push(part);
  if (!dropped.has('x-request-id')) fields.push('X-Request-Id', facts.requestId);
  if (facts.credits !== null) {
    fields.push('X-Credits-Cost', String(facts.credits.cost));
    fields.push('X-Credits-Remaining', String(facts.credits.remaining));
  }
  if (rules.addedVary !== null) addVary(fields, rules.addedVary);
  if (credentialNames === null) return fields;
  addVary(fields, credentialNames);
  if (!saysHowToCache) fields.push('Cache-Control', 'private');
  return fields;
}

/**
 * What of an interim answer, or of trailers, is for the caller: all that does not belong to one connection or the gateway,
 * and that no rule of the route removes or replaces.
 */
export function passingFields(upstreamFields: readonly string[], { response: { dropped } }: FieldRules): string[] {
  const fields: string[] = [];
  for (let i = 0; i + 1 < upstreamFields.length; i += 2) {
    const name = upstreamFields[i] ?? '';
    const value = upstreamFields[i + 1] ?? '';
    const key = name.toLowerCase();
    if (!staysBehind(key, value) && !dropped.has(key) && key !== 'content-length') fields.push(name, value);
  }
  return fields;
}

/** Whether trailers may be sent to a client (RFC 9110 §6.5.1): others merge or drop them as they please. */
export function acceptsTrailers({ headers }: Pick<ClientRequest, 'headers'>): boolean {
  return /(?:^|,)\s*trailers\s*(?:;|,|$)/i.test(String(headers['te'] ?? ''));
}

/** Fields of one connection, and what only the gateway may say or set, however it is spelt. */
function staysBehind(key: string, value: string): boolean {
  if (hopByHop.has(key)) return true;
  if (key === 'set-cookie') return setsOwnCookie(value);
  if (!key.startsWith('x')) return false;
  const name = key.includes('_') ? key.replaceAll('_', '-') : key;
  return name === 'x-request-id' || name.startsWith('x-credits-') || name.startsWith('x-tollgate-');
}

function isLocation(key: string): boolean {
  return key === 'location' || key === 'content-location';
}

/** All lines of a field as one value; undefined without one. */
export function fieldValue(fields: readonly string[], key: string): string | undefined {
  let all: string | undefined;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (name.length !== key.length || name.toLowerCase() !== key) continue;
    all = all === undefined ? fields[i + 1] : `${all},${fields[i + 1]}`;
  }
  return all;
}

/** Has `Vary` name these fields, in its last line or in one of its own. */
function addVary(fields: string[], names: readonly string[]): void {
  if (names.length === 0) return;
  const said = fieldValue(fields, 'vary');
  if (said === undefined) {
    fields.push('Vary', names.join(', '));
    return;
  }
  const present = new Set(
    said
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  );
  const missing = present.has('*') ? [] : names.filter((name) => !present.has(name));
  if (missing.length === 0) return;
  for (let i = fields.length - 2; i >= 0; i -= 2) {
    if (fields[i]?.toLowerCase() !== 'vary') continue;
    fields[i + 1] = [...(fields[i + 1] === '' ? [] : [fields[i + 1]]), ...missing].join(', ');
    return;
  }
  fields.push('Vary', missing.join(', '));
}
