// Who is calling: the first credential that is present decides, and a bad one is refused; there is no falling through to
// the next. Leaves `request.user`, and in `request.credentialField` the field that held the credential, so that it goes
// no further.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { CredentialKind } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import type { Caller } from '../meter/meter.ts';
import type { CallerIdentity } from '../store/identities.ts';
import { hashKey, isWellFormedKey } from './api-keys.ts';
import type { BearerTokens } from './bearer.ts';
import type { KnownCallers } from './known-callers.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a path of the gateway itself: whether it answers to a caller, with whatever credential. */
    readonly needsCaller?: boolean;
  }
  interface FastifyRequest {
    /** Who is calling; null on public routes. */
    user: Caller | null;
    /** Name, in lower case, of the header field that held the credential; null without one. */
    credentialField: string | null;
  }
}

export interface IdentityOptions {
  readonly keys: KnownCallers;
  /** Null where no issuer of tokens is configured. */
  readonly tokens: BearerTokens | null;
  /** Header fields in which keys are looked for, lower case, in this order. */
  readonly keyFields: readonly string[];
}

/**
 * Identifies the caller of each call on a private route, and of the gateway's own paths that ask for one. Refuses with
 * TG_AUTH_MISSING, TG_AUTH_INVALID, TG_AUTH_NOT_ACCEPTED, TG_AUTH_IN_QUERY, TG_SCOPE_MISSING, TG_USER_BLOCKED,
 * TG_STORE_UNAVAILABLE, TG_AUTH_UNAVAILABLE or TG_OVERLOADED.
 */
export const identity = fp(registerIdentity, { name: 'identity', dependencies: ['routing'] });

async function registerIdentity(app: FastifyInstance, { keys, tokens, keyFields }: IdentityOptions): Promise<void> {
  const hasTokens = tokens !== null;
  const places = { fields: credentialFields(keyFields, hasTokens), keyFields, hasTokens };
  const findCaller = ({ kind, text }: Credential) => {
    if (kind === 'key') return keys.find(hashKey(text), text);
    return tokens === null ? null : tokens.find(text);
  };
  app.decorateRequest('user', null);
  app.decorateRequest('credentialField', null);
  app.addHook('onRequest', (request, _reply, done) => {
    const { matched: route } = request;
    if (route === null && request.routeOptions.config?.needsCaller !== true) {
      done();
      return undefined;
    }
    if (hasKeyInQuery(request.originalUrl)) throw new TollgateError('TG_AUTH_IN_QUERY');
    if (request.isPublic) {
      done();
      return undefined;
    }
    const credential = credentialOf(request, places);
    if (route !== null && !route.auth.includes(credential.kind)) throw new TollgateError('TG_AUTH_NOT_ACCEPTED');
    const found = findCaller(credential);
    const scopes = route?.scopes ?? [];
    if (found instanceof Promise) return found.then((caller) => admit(request, scopes, caller));
    admit(request, scopes, found);
    done();
    return undefined;
  });
}

/** The fields in which a credential is looked for, in this order. Tokens come in `Authorization` alone (RFC 6750 §2.1). */
export function credentialFields(keyFields: readonly string[], hasTokens: boolean): readonly string[] {
  return hasTokens && !keyFields.includes('authorization') ? ['authorization', ...keyFields] : keyFields;
}

/** Where a credential is looked for, in this order, and which of the fields may hold a key. */
interface Places {
  readonly fields: readonly string[];
  readonly keyFields: readonly string[];
  readonly hasTokens: boolean;
}

interface Credential {
  readonly kind: CredentialKind;
  readonly text: string;
}

/** The first that is present, whose field is noted. What cannot be a key is refused without a look-up. */
function credentialOf(request: FastifyRequest, { fields, keyFields, hasTokens }: Places): Credential {
  for (const field of fields) {
    const value = request.headers[field];
    if (value === undefined) continue;
    const text = field === 'authorization' ? bearerOf(String(value)) : String(value);
    // Another scheme, such as Basic, is meant for the upstream.
    if (text === null) continue;
    request.credentialField = field;
    if (hasTokens && field === 'authorization' && !text.startsWith('tg_')) return { kind: 'bearer', text };
    if (!keyFields.includes(field) || !isWellFormedKey(text)) throw new TollgateError('TG_AUTH_INVALID');
    return { kind: 'key', text };
  }
  throw new TollgateError('TG_AUTH_MISSING');
}

const bearer = /^bearer(?: +|$)/i;

function bearerOf(value: string): string | null {
  const scheme = bearer.exec(value);
  return scheme === null ? null : value.slice(scheme[0].length);
}

function admit(request: FastifyRequest, scopes: readonly string[], caller: CallerIdentity | null): void {
  if (caller === null) throw new TollgateError('TG_AUTH_INVALID');
  if (caller.goodUntil !== null && caller.goodUntil <= Date.now()) throw new TollgateError('TG_AUTH_INVALID');
  if (caller.isBlocked) throw new TollgateError('TG_USER_BLOCKED');
  const held = caller.scopes;
  if (held !== null && !scopes.every((scope) => held.includes(scope))) {
    throw new TollgateError('TG_SCOPE_MISSING', { scope: scopes.join(' ') });
  }
  request.user = caller;
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
