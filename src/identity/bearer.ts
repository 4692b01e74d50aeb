// Access tokens that an identity provider has issued: JWTs, verified here and remembered until they end. The first one of a
// subject makes its user.

import { hash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import type { BaseLogger } from 'pino';
import type { BearerIssuer } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import type { Db } from '../store/database.ts';
import type { CallerIdentity } from '../store/identities.ts';
import { type Person, resolveUser, type SignUpTerms } from '../store/sign-ups.ts';
import type { Change } from '../store/sync/exchange.ts';
import { IssuerKeys } from './issuer-keys.ts';
import { KnownCallers } from './known-callers.ts';
import type { ProviderClient } from './provider-client.ts';

export interface BearerOptions {
  readonly issuers: readonly BearerIssuer[];
  readonly db: Db;
  readonly client: Pick<ProviderClient, 'get'>;
  /** What a user begins with whom the first token of a subject makes. */
  readonly newUser: Omit<SignUpTerms, 'actor'>;
  readonly log: Pick<BaseLogger, 'info' | 'warn' | 'debug'>;
}

/** More than this no token of good standing has; a header of it would be cheap to send and dear to read. */
const tokenLengthMax = 8 * 1024;
/** OpenID Connect Core §2 allows no longer subject. */
const subjectLengthMax = 255;
const nameLengthMax = 200;

interface Issuer extends BearerIssuer {
  readonly keys: IssuerKeys;
}

export class BearerTokens {
  readonly #options: BearerOptions;
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #known = new KnownCallers((token) => this.#verify(token));

  constructor(options: BearerOptions) {
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
    if (token.length > tokenLengthMax) return null;
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
    const { db, newUser, log } = this.#options;
    const actor = `bearer:${issuer.issuer}`;
    const { userId, isBlocked, signedUpWith } = await resolveUser(db, personOf(issuer, claims), { ...newUser, actor });
    if (signedUpWith !== null) {
      log.info({ user: userId, kind: 'signup', amount: signedUpWith, balance: signedUpWith, actor }, 'signup');
    }
    const goodUntil = (claims.exp ?? 0) * 1000 + issuer.leeway;
    return {
      userId,
      keyId: null,
      hasKeyLimit: false,
      isBlocked,
      goodUntil,
      issuer: issuer.issuer,
      scopes: scopesOf(claims),
    };
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
  return nonce === undefined && typeof sub === 'string' && sub !== '' && sub.length <= subjectLengthMax;
}

function personOf({ issuer }: Issuer, claims: JWTPayload): Person {
  const { email, name } = claims;
  const isVouched = claims['email_verified'] === true && typeof email === 'string' && isAddress(email);
  return {
    issuer,
    subject: String(claims.sub),
    email: isVouched ? email : null,
    name: typeof name === 'string' ? nameFrom(name) : null,
    picture: null,
  };
}

function isAddress(text: string): boolean {
  return text.length <= 254 && /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u.test(text);
}

/** Without what terminals would take for commands; null when nothing is left. */
function nameFrom(text: string): string | null {
  const name = text
    .replaceAll(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, nameLengthMax);
  return name === '' ? null : name;
}

/** RFC 9068 §2.2.3 has one text with blanks; some providers have a list, or call it `scp`. */
function scopesOf(claims: JWTPayload): string[] {
  const scopes = claims['scope'] ?? claims['scp'] ?? '';
  if (Array.isArray(scopes)) return scopes.filter((scope) => typeof scope === 'string');
  return typeof scopes === 'string' ? scopes.split(' ').filter((scope) => scope !== '') : [];
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
