// From what a good token says to who is calling: the claims that name somebody, and the user whom the first token of a
// subject makes.

import type { CallerIdentity } from '../store/identities.ts';
import { type Claims, personOf } from './claims.ts';
import { type NewcomersOptions, welcome } from './newcomers.ts';

/** A token that was found good. */
export interface GoodToken {
  readonly issuer: string;
  readonly subject: string;
  readonly claims: Claims;
  /** Milliseconds since 1970; null where nobody says. */
  readonly goodUntil: number | null;
}

export class TokenUsers {
  readonly #options: NewcomersOptions;

  constructor(options: NewcomersOptions) {
    this.#options = options;
  }

  /** Who calls with a token. Rejects as the store does. */
  async callerOf({ issuer, subject, claims, goodUntil }: GoodToken): Promise<CallerIdentity> {
    const person = { ...personOf(issuer, subject, claims), picture: null };
    const { userId, isBlocked } = await welcome(person, `bearer:${issuer}`, this.#options);
    return { userId, keyId: null, hasKeyLimit: false, isBlocked, goodUntil, issuer, scopes: scopesOf(claims) };
  }
}

/** RFC 9068 §2.2.3 has one text with blanks; some providers have a list, or call it `scp`. */
function scopesOf({ scope, scp }: GoodToken['claims']): string[] {
  const scopes = scope ?? scp ?? '';
  if (Array.isArray(scopes)) return scopes.filter((each) => typeof each === 'string');
  return typeof scopes === 'string' ? scopes.split(' ').filter((each) => each !== '') : [];
}
