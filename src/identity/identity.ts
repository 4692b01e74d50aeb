// Who is calling: the first credential that is present decides, and a bad one is refused; there is no falling through to
// the next. Leaves `request.user`, and in `request.credentialField` the field that held the credential, so that it goes
// no further.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { TollgateError } from '../errors.ts';
import type { Caller } from '../meter/meter.ts';
import type { CallerIdentity } from '../store/identities.ts';
import { isWellFormedKey } from './api-keys.ts';
import type { Attempts } from './attempts.ts';
import type { Callers, Credential } from './callers.ts';
import type { SessionUse } from './sessions.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a path of the gateway itself: whether it answers to a caller, with whatever credential or a session alone. */
    readonly needsCaller?: 'any' | 'session';
  }
  interface FastifyRequest {
    /** Who is calling; null on public routes. */
    user: Caller | null;
    /** Name, in lower case, of the header field that held the credential alone; null without one. */
    credentialField: string | null;
    /** The session that made the request, by its hash; null for another credential. */
    sessionHash: string | null;
  }
}

export interface IdentityOptions {
  readonly callers: Callers;
  /** Header fields in which keys are looked for, lower case, in this order. */
  readonly keyFields: readonly string[];
  /** Credentials that are not good, by address. */
  readonly failures: Attempts;
  /** Where a request comes from. */
  readonly addressOf: (request: FastifyRequest) => string;
}

/**
 * Identifies the caller of each call on a private route, and of the gateway's own paths that ask for one. Refuses with
 * TG_AUTH_MISSING, TG_AUTH_INVALID, TG_AUTH_NOT_ACCEPTED, TG_AUTH_IN_QUERY, TG_SCOPE_MISSING, TG_USER_BLOCKED,
 * TG_RATE_LIMITED, TG_STORE_UNAVAILABLE, TG_AUTH_UNAVAILABLE or TG_OVERLOADED.
 */
export const identity = fp(registerIdentity, { name: 'identity', dependencies: ['routing'] });

async function registerIdentity(app: FastifyInstance, options: IdentityOptions): Promise<void> {
  const { callers, keyFields } = options;
  const places = { fields: fieldsOf(options), keyFields, callers };
  app.decorateRequest('user', null);
  app.decorateRequest('credentialField', null);
  app.decorateRequest('sessionHash', null);
  app.addHook('onRequest', (request, _reply, done) => {
    const { matched: route } = request;
    const need = route === null ? request.routeOptions.config?.needsCaller : 'any';
    if (need === undefined) {
      done();
      return undefined;
    }
    if (hasKeyInQuery(request.originalUrl)) throw new TollgateError('TG_AUTH_IN_QUERY');
    if (request.isPublic) {
      done();
      return undefined;
    }
    const credential = credentialOf(request, places);
    if (credential === 'bad') throw countFailure(request, options);
    const isAccepted =
      route === null ? need === 'any' || credential.kind === need : route.auth.includes(credential.kind);
    if (!isAccepted) throw new TollgateError('TG_AUTH_NOT_ACCEPTED');
    const found = findCaller(request, credential, options);
    if (found instanceof Promise) return found.then((caller) => admit(request, caller, options));
    admit(request, found, options);
    done();
    return undefined;
  });
}

type Sources = Pick<IdentityOptions, 'keyFields' | 'callers'>;

/** The fields in which a credential is looked for, in this order. Tokens come in `Authorization` alone (RFC 6750 §2.1). */
function fieldsOf({ keyFields, callers }: Sources): readonly string[] {
  return callers.tokens !== null && !keyFields.includes('authorization') ? ['authorization', ...keyFields] : keyFields;
}

/** The fields by which a shared cache has to tell callers apart. */
export function credentialFields(sources: Sources): readonly string[] {
  const fields = fieldsOf(sources);
  return sources.callers.sessions === null ? fields : [...fields, 'cookie'];
}

/** Where a credential is looked for, in this order, and which of the fields may hold a key. */
interface Places {
  readonly fields: readonly string[];
  readonly keyFields: readonly string[];
  readonly callers: Callers;
}

/** The first that is present, whose field is noted; `bad` for what cannot be good, which costs no look-up. */
function credentialOf(request: FastifyRequest, { fields, keyFields, callers }: Places): Credential | 'bad' {
  for (const field of fields) {
    const value = request.headers[field];
    if (value === undefined) continue;
    const text = field === 'authorization' ? bearerOf(String(value)) : String(value);
    // Another scheme, such as Basic, is meant for the upstream.
    if (text === null) continue;
    request.credentialField = field;
    if (callers.tokens !== null && field === 'authorization' && !text.startsWith('tg_'))
      return { kind: 'bearer', text };
    return keyFields.includes(field) && isWellFormedKey(text) ? { kind: 'key', text } : 'bad';
  }
  const session = callers.sessions?.idIn(request.raw, useOf(request)) ?? null;
  if (session === null || callers.sessions === null) throw new TollgateError('TG_AUTH_MISSING');
  request.sessionHash = callers.sessions.hashOf(session);
  return { kind: 'session', text: session };
}

function useOf({ matched, method }: FastifyRequest): SessionUse {
  if (matched !== null) return 'spend';
  return method === 'GET' ? 'read' : 'change';
}

const bearer = /^bearer(?: +|$)/i;

function bearerOf(value: string): string | null {
  const scheme = bearer.exec(value);
  return scheme === null ? null : value.slice(scheme[0].length);
}

type Found = CallerIdentity | null;

/** What is not known, from an address that has failed too often, waits its turn: it keeps others waiting no longer. */
function findCaller(
  request: FastifyRequest,
  credential: Credential,
  { callers, failures, addressOf }: IdentityOptions,
): Found | Promise<Found> {
  if (!failures.isAnyOver || callers.isKnown(credential)) return callers.find(credential);
  const address = addressOf(request);
  if (!failures.isOver(address)) return callers.find(credential);
  return failures.inTurn(address, async () => callers.find(credential));
}

function admit(request: FastifyRequest, caller: Found, options: IdentityOptions): void {
  if (caller === null) throw countFailure(request, options);
  if (caller.goodUntil !== null && caller.goodUntil <= Date.now()) throw new TollgateError('TG_AUTH_INVALID');
  if (caller.isBlocked) throw new TollgateError('TG_USER_BLOCKED');
  const held = caller.scopes;
  const scopes = request.matched?.scopes ?? [];
  if (held !== null && !scopes.every((scope) => held.includes(scope))) {
    throw new TollgateError('TG_SCOPE_MISSING', { scope: scopes.join(' ') });
  }
  request.user = caller;
}

/** A credential is not good; from an address that says so too often, that is all it hears. */
function countFailure(request: FastifyRequest, { failures, addressOf }: IdentityOptions): TollgateError {
  const address = addressOf(request);
  if (failures.take(address)) return new TollgateError('TG_AUTH_INVALID');
  return new TollgateError('TG_RATE_LIMITED', { retryAfter: failures.retryAfterSeconds(address) });
}

/** As often as this a query is decoded: some clients encode what is encoded already. */
const decodingsMax = 2;

/** A key in the query string is in every log on the way: it is refused, however it is wrapped, so that nobody gets used to it. */
function hasKeyInQuery(url: string): boolean {
  const start = url.indexOf('?');
  if (start === -1) return false;
  let query = url.slice(start + 1);
  for (let decodings = 0; ; decodings++) {
    for (const [key] of query.matchAll(/tg_[0-9A-Za-z]{38}/g)) if (isWellFormedKey(key)) return true;
    if (decodings === decodingsMax || !query.includes('%')) return false;
    query = query.replaceAll(/%[0-9a-f]{2}/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
  }
}
