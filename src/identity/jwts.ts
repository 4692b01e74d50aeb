// Access tokens that are JWTs: verified here, by the keys of their issuer, and remembered until they end.

import { hash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import type { BaseLogger } from 'pino';
import type { BearerIssuer } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import type { CallerIdentity } from '../store/identities.ts';
import type { Change } from '../store/sync/exchange.ts';
import { IssuerKeys } from './issuer-keys.ts';
import { KnownCallers } from './known-callers.ts';
import type { ProviderClient } from './provider-client.ts';
import { isSubject, type TokenUsers } from './token-users.ts';

export interface JwtOptions {
  readonly issuers: readonly BearerIssuer[];
  readonly users: TokenUsers;
  readonly client: Pick<ProviderClient, 'get'>;
  readonly log: Pick<BaseLogger, 'warn' | 'debug'>;
}

interface Issuer extends BearerIssuer {
  readonly keys: IssuerKeys;
}

export class Jwts {
  readonly #options: JwtOptions;
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #known = new KnownCallers((token) => this.#verify(token));

  constructor(options: JwtOptions) {
    this.#options = options;
    this.#issuers = new Map(
      options.issuers.map((issuer) => [issuer.issuer, { ...issuer, keys: this.#keysOf(issuer) }]),
    );
  }

  /**
   * Who is behind a token, or null when it is not good. At once when it was verified before, else a promise. Rejects with
   * TG_AUTH_UNAVAILABLE or TG_STORE_UNAVAILABLE when that cannot be told; throws TG_OVERLOADED.
   */
  find(token: string): CallerIdentity | null | Promise<CallerIdentity | null> {
    const key = hash('sha256', token, 'base64url');
    const issuer = this.#issuers.get(this.#known.get(key)?.issuer ?? '');
    if (issuer === undefined || issuer.keys.isFresh) return this.#known.find(key, token);
    // Its signature was good; the key that made it may have been withdrawn.
    return issuer.keys.refresh().then(() => this.#known.find(key, token));
  }

  /** Forgets the users that changed. */
  forget(changes: readonly Change[]): void {
    this.#known.forget(changes);
  }

  /** Forgets everybody. */
  forgetAll(): void {
    this.#known.forgetAll();
  }

  #keysOf({ issuer }: BearerIssuer): IssuerKeys {
    return new IssuerKeys({
      issuer,
      client: this.#options.client,
      onChanged: () => this.#known.forgetIssuer(issuer),
      onFailed: (err) => this.#options.log.warn({ issuer, err }, 'the keys of an issuer could not be read'),
      now: () => performance.now(),
    });
  }

  async #verify(token: string): Promise<CallerIdentity | null> {
    const verified = await this.#claimsOf(token);
    if (verified === null) return null;
    const { issuer, claims } = verified;
    const goodUntil = (claims.exp ?? 0) * 1000 + issuer.leeway;
    return this.#options.users.callerOf({ issuer: issuer.issuer, subject: claims.sub ?? '', claims, goodUntil });
  }

  /** The claims of a good token and its issuer, or null. Why it is not good is for the log alone. */
  async #claimsOf(token: string): Promise<{ issuer: Issuer; claims: JWTPayload } | null> {
    try {
      const issuer = this.#issuers.get(decodeJwt(token).iss ?? '');
      if (issuer === undefined) throw new errors.JWTInvalid('its issuer is not one of ours');
      const { payload, protectedHeader } = await jwtVerify(token, issuer.keys.find, {
        issuer: issuer.issuer,
        audience: [...issuer.audience],
        algorithms: [...issuer.algorithms],
        clockTolerance: issuer.leeway / 1000,
        requiredClaims: ['sub', 'exp'],
      });
      if (!isAccessToken(issuer, protectedHeader.typ, payload)) throw new errors.JWTInvalid('it is no access token');
      return { issuer, claims: payload };
    } catch (error) {
      if (error instanceof TollgateError) throw error;
      this.#options.log.debug({ header: headerOf(token), err: error }, 'a token was refused');
      return null;
    }
  }
}

/** An ID token says who signed in to some client, and is no key to an API; it has a nonce wherever one was asked for. */
function isAccessToken({ requireType }: Issuer, type: string | undefined, { sub, nonce }: JWTPayload): boolean {
  const kind = type?.toLowerCase().replace(/^application\//, '');
  if (requireType ? kind !== 'at+jwt' : kind !== undefined && kind !== 'jwt' && kind !== 'at+jwt') return false;
  return nonce === undefined && isSubject(sub);
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
