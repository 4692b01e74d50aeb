// From what a good token says to who is calling: the claims that name somebody, and the user whom the first token of a
// subject makes.

import { TollgateError } from '../errors.ts';
import type { LastKnown } from '../fallback/last-known.ts';
import type { CallerIdentity } from '../store/identities.ts';
import { type Claims, personOf } from './claims.ts';
import type { LastWord } from './known-callers.ts';
import { type NewcomersOptions, welcome } from './newcomers.ts';

/** A token that was found good. */
export interface GoodToken {
  readonly issuer: string;
  readonly subject: string;
  readonly claims: Claims;
  /** Milliseconds since 1970; null where nobody says. */
  readonly goodUntil: number | null;
}

export interface TokenUsersOptions extends NewcomersOptions {
  /** False while the store is down: it is not asked then. */
  readonly isStoreUp?: () => boolean;
  /** What the store said last, for while it does not answer; null where nobody is to be served by that. */
  readonly lastKnown?: Pick<LastKnown, 'findSubject' | 'noteSubject' | 'generation'> | null;
}

export class TokenUsers {
  readonly #options: TokenUsersOptions;

  constructor(options: TokenUsersOptions) {
    this.#options = options;
  }

  /** Who calls with a token. Rejects as the store does, and with TG_STORE_UNAVAILABLE when it is known to be down. */
  async callerOf({ issuer, subject, claims, goodUntil }: GoodToken): Promise<CallerIdentity | LastWord> {
    const { isStoreUp = () => true, lastKnown = null } = this.#options;
    const identityOf = ({ userId, isBlocked }: Pick<CallerIdentity, 'userId' | 'isBlocked'>): CallerIdentity => {
      return { userId, keyId: null, hasKeyLimit: false, isBlocked, goodUntil, issuer, scopes: scopesOf(claims) };
    };
    const generation = lastKnown?.generation;
    try {
      if (!isStoreUp()) throw new TollgateError('TG_STORE_UNAVAILABLE');
      const person = { ...personOf(issuer, subject, claims), picture: null };
      const user = await welcome(person, `bearer:${issuer}`, this.#options);
      // What was asked before a change may have been answered with what was true before it.
      if (generation === lastKnown?.generation) lastKnown?.noteSubject(issuer, subject, user);
      return identityOf(user);
    } catch (error) {
      const known = lastKnown?.findSubject(issuer, subject) ?? null;
      if (known === null) throw error;
      return { lastWord: identityOf(known) };
    }
  }
}

/** RFC 9068 §2.2.3 has one text with blanks; some providers have a list, or call it `scp`. */
function scopesOf({ scope, scp }: GoodToken['claims']): string[] {
  const scopes = scope ?? scp ?? '';
  if (Array.isArray(scopes)) return scopes.filter((each) => typeof each === 'string');
  return typeof scopes === 'string' ? scopes.split(' ').filter((each) => each !== '') : [];
}
