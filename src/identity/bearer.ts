// Access tokens that an identity provider has issued: what looks like a JWT is verified here, anything else is asked of
// its provider.

import type { BaseLogger } from 'pino';
import type { CallerIdentity } from '../store/identities.ts';
import type { Change } from '../store/sync/exchange.ts';
import type { Introspection } from './introspection.ts';
import type { Jwts } from './jwts.ts';

/** More than this no token of good standing has; a header of it would be cheap to send and dear to read. */
const lengthMax = 8 * 1024;
/** RFC 6750 §2.1. */
const shape = /^[\w.~+/-]+=*$/;
/** Three parts with dots between them (RFC 7519 §3). */
const jwtShape = /^[\w-]+\.[\w-]+\.[\w-]*$/;

export class BearerTokens {
  readonly #jwts: Jwts | null;
  readonly #introspection: Introspection | null;
  readonly #log: Pick<BaseLogger, 'debug'>;

  /** Null for a kind of token that nobody has issued. */
  constructor(jwts: Jwts | null, introspection: Introspection | null, log: Pick<BaseLogger, 'debug'>) {
    this.#jwts = jwts;
    this.#introspection = introspection;
    this.#log = log;
  }

  /**
   * Who is behind a token, or null when it is not good. At once when that is known, else a promise. Rejects with
   * TG_AUTH_UNAVAILABLE or TG_STORE_UNAVAILABLE when it cannot be told; throws TG_OVERLOADED.
   */
  find(token: string): CallerIdentity | null | Promise<CallerIdentity | null> {
    if (token.length > lengthMax) return this.#refuse('it is too long');
    if (!shape.test(token)) return this.#refuse('it has characters that no token has');
    const finder = jwtShape.test(token) ? this.#jwts : this.#introspection;
    return finder === null ? this.#refuse('nobody is configured who issues its kind') : finder.find(token);
  }

  #refuse(why: string): null {
    this.#log.debug({ why }, 'a token was refused');
    return null;
  }

  /** Whether a token was found good before. */
  isKnown(token: string): boolean {
    return (this.#jwts?.isKnown(token) ?? false) || (this.#introspection?.isKnown(token) ?? false);
  }

  /** Forgets the users that changed. */
  forget(changes: readonly Change[]): void {
    this.#jwts?.forget(changes);
    this.#introspection?.forget(changes);
  }

  /** Forgets everybody. */
  forgetAll(): void {
    this.#jwts?.forgetAll();
    this.#introspection?.forgetAll();
  }
}
