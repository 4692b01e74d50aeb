// Access tokens that are JWTs: verified here, by the keys of their issuer, and remembered until they end.

import { hash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import type { BaseLogger } from 'pino';
import type { BearerIssuer } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import type { CallerIdentity } from '../store/identities.ts';
import type { Change } from '../store/sync/exchange.ts';
import { isSubject } from './claims.ts';
import { IssuerKeys } from './issuer-keys.ts';
import { KnownCallers, type LastWord } from './known-callers.ts';
import type { ProviderClient } from './provider-client.ts';
import type { TokenUsers } from './token-users.ts';

export interface JwtOptions {
  readonly issuers: readonly BearerIssuer[];
  /** As which the gateway signs people in: what is meant for one of them is an ID token. */
  readonly clientIds: ReadonlySet<string>;
  readonly users: TokenUsers;
  readonly client: Pick<ProviderClient, 'get'>;
  readonly log: Pick<BaseLogger, 'warn' | 'debug'>;
}

interface Issuer extends BearerIssuer {
  readonly keys: IssuerKeys;
  /** One for each issuer, so that one that does not answer keeps nobody else waiting. */
  readonly known: KnownCallers;
}

export class Jwts {
  readonly #options: JwtOptions;
  readonly #issuers: ReadonlyMap<string, Issuer>;

  constructor(options: JwtOptions) {
    this.#options = options;
    this.#issuers = new Map(options.issuers.map((issuer) => [issuer.issuer, this.#open(issuer)]));
  }

  /**
   * Who is behind a token, or null when it is not good. At once when it was verified before, else a promise. Rejects with
   * TG_AUTH_UNAVAILABLE or TG_STORE_UNAVAILABLE when that cannot be told; throws TG_OVERLOADED.
   */
  find(token: string): CallerIdentity | null | Promise<CallerIdentity | null> {
    const key = hash('sha256', token, 'base64url');
    for (const issuer of this.#issuers.values()) {
      if (issuer.known.get(key) === undefined) continue;
      if (issuer.keys.isFresh) return issuer.known.find(key, token);
      // Its signature was good; the key that made it may have been withdrawn.
      return issuer.keys.refresh().then(() => issuer.known.find(key, token));
    }
    const named = this.#issuers.get(issuerIn(token) ?? '');
    if (named !== undefined) return named.known.find(key, token);
    this.#options.log.debug({ why: 'its issuer is not one of ours' }, 'a token was refused');
    return null;
  }

  /** Whether a token was verified before. */
  isKnown(token: string): boolean {
    const key = hash('sha256', token, 'base64url');
    return [...this.#issuers.values()].some(({ known }) => known.get(key) !== undefined);
  }

  /** Forgets the users that changed. */
  forget(changes: readonly Change[]): void {
    for (const { known } of this.#issuers.values()) known.forget(changes);
  }

  /** Forgets everybody. */
  forgetAll(): void {
    for (const { known } of this.#issuers.values()) known.forgetAll();
  }

  #open(configured: BearerIssuer): Issuer {
    const { client, log } = this.#options;
    const known = new KnownCallers((token) => this.#verify(issuer, token));
    const keys = new IssuerKeys({
      issuer: configured.issuer,
      client,
      onChanged: () => known.forgetAll(),
      onFailed: (err) => log.warn({ issuer: configured.issuer, err }, 'the keys of an issuer could not be read'),
      now: () => performance.now(),
    });
    const issuer = { ...configured, keys, known };
    return issuer;
  }

  async #verify(issuer: Issuer, token: string): Promise<CallerIdentity | LastWord | null> {
    const claims = await this.#claimsOf(issuer, token);
    if (claims === null) return null;
    const goodUntil = (claims.exp ?? 0) * 1000 + issuer.leeway;
    return this.#options.users.callerOf({ issuer: issuer.issuer, subject: claims.sub ?? '', claims, goodUntil });
  }

  /** The claims of a good token, or null. Why it is not good is for the log alone. */
  async #claimsOf(issuer: Issuer, token: string): Promise<JWTPayload | null> {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, issuer.keys.find, {
        issuer: issuer.issuer,
        audience: [...issuer.audience],
        algorithms: [...issuer.algorithms],
        clockTolerance: issuer.leeway / 1000,
        requiredClaims: ['sub', 'exp'],
      });
      const { clientIds } = this.#options;
      if (isAccessToken(issuer, protectedHeader.typ, payload, clientIds)) return payload;
      throw new errors.JWTInvalid('it is no access token that a bearer may use');
    } catch (error) {
      if (error instanceof TollgateError) throw error;
      // Not the error itself: it holds the claims.
      this.#options.log.debug({ header: headerOf(token), why: String(error) }, 'a token was refused');
      return null;
    }
  }
}

/** The issuer that a token names, unverified. */
function issuerIn(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

/** Claims of tokens that are something else, or that their bearer alone may not use: ID, logout and bound tokens. */
const foreignClaims = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events', 'cnf'];

/** An ID token says who signed in to some client, and is no key to an API. */
function isAccessToken(
  { requireType }: Issuer,
  type: string | undefined,
  claims: JWTPayload,
  clientIds: ReadonlySet<string>,
): boolean {
  const kind = type?.toLowerCase().replace(/^application\//, '');
  if (requireType ? kind !== 'at+jwt' : kind !== undefined && kind !== 'jwt' && kind !== 'at+jwt') return false;
  if ([claims.aud ?? []].flat().some((audience) => clientIds.has(audience))) return false;
  return foreignClaims.every((claim) => claims[claim] === undefined) && isSubject(claims.sub);
}

/** For the log: what of a token is no secret. */
function headerOf(token: string): Record<string, unknown> | null {
  try {
    const { alg, typ, kid } = decodeProtectedHeader(token);
    return { alg, typ, kid };
  } catch {
    return null;
  }
}
