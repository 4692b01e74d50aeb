// Who is calling: the first credential that is present decides, and a bad one is refused; there is no falling through to
// the next. Leaves `request.user`, and in `request.credentialField` the field that held the credential, so that it goes
// no further.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { TollgateError } from '../errors.ts';
import type { Caller } from '../meter/meter.ts';
import type { KeyIdentity } from '../store/identities.ts';
import { hashKey, isWellFormedKey } from './api-keys.ts';
import type { KnownKeys } from './known-keys.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling; null on public routes. */
    user: Caller | null;
    /** Name, in lower case, of the header field that held the credential; null without one. */
    credentialField: string | null;
  }
}

export interface IdentityOptions {
  readonly knownKeys: KnownKeys;
  /** Header fields in which keys are looked for, lower case, in this order. */
  readonly keyFields: readonly string[];
}

/**
 * Identifies the caller of each call on a private route. Refuses with TG_AUTH_MISSING, TG_AUTH_INVALID,
 * TG_AUTH_IN_QUERY, TG_USER_BLOCKED, TG_STORE_UNAVAILABLE or TG_OVERLOADED.
 */
export const identity = fp(registerIdentity, { name: 'identity', dependencies: ['routing'] });

async function registerIdentity(app: FastifyInstance, { knownKeys, keyFields }: IdentityOptions): Promise<void> {
  app.decorateRequest('user', null);
  app.decorateRequest('credentialField', null);
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.matched === null) {
      done();
      return undefined;
    }
    if (hasKeyInQuery(request.originalUrl)) throw new TollgateError('TG_AUTH_IN_QUERY');
    if (request.isPublic) {
      done();
      return undefined;
    }
    const found = knownKeys.find(hashOfCredential(request, keyFields));
    if (found instanceof Promise) return found.then((key) => admit(request, key));
    admit(request, found);
    done();
    return undefined;
  });
}

/** Finds the credential, notes its field, and returns the hash of the key it holds. */
function hashOfCredential(request: FastifyRequest, keyFields: readonly string[]): string {
  for (const field of keyFields) {
    const value = request.headers[field];
    if (value === undefined) continue;
    const key = field === 'authorization' ? keyOfAuthorization(String(value)) : String(value);
    // Another scheme, such as Basic, is meant for the upstream.
    if (key === null) continue;
    request.credentialField = field;
    if (!isWellFormedKey(key)) throw new TollgateError('TG_AUTH_INVALID');
    return hashKey(key);
  }
  throw new TollgateError('TG_AUTH_MISSING');
}

const bearer = /^bearer(?: +|$)/i;

function keyOfAuthorization(value: string): string | null {
  const scheme = bearer.exec(value);
  return scheme === null ? null : value.slice(scheme[0].length);
}

function admit(request: FastifyRequest, key: KeyIdentity | null): void {
  if (key === null) throw new TollgateError('TG_AUTH_INVALID');
  if (key.goodUntil !== null && Date.parse(key.goodUntil) <= Date.now()) throw new TollgateError('TG_AUTH_INVALID');
  if (key.isBlocked) throw new TollgateError('TG_USER_BLOCKED');
  request.user = key;
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
