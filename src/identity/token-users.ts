// From what a good token says to who is calling: the claims that name somebody, and the user whom the first token of a
// subject makes.

import type { BaseLogger } from 'pino';
import type { Db } from '../store/database.ts';
import type { CallerIdentity } from '../store/identities.ts';
import { resolveUser, type SignUpTerms } from '../store/sign-ups.ts';
import { type Claims, personOf } from './claims.ts';

export interface TokenUsersOptions {
  readonly db: Db;
  /** What a user begins with whom the first token of a subject makes. */
  readonly newUser: Omit<SignUpTerms, 'actor'>;
  readonly log: Pick<BaseLogger, 'info'>;
}

/** A token that was found good. */
export interface GoodToken {
  readonly issuer: string;
  readonly subject: string;
  readonly claims: Claims;
  /** Milliseconds since 1970; null where nobody says. */
  readonly goodUntil: number | null;
}

export class TokenUsers {
  readonly #options: TokenUsersOptions;

  constructor(options: TokenUsersOptions) {
    this.#options = options;
  }

  /** Who calls with a token. Rejects as the store does. */
  async callerOf({ issuer, subject, claims, goodUntil }: GoodToken): Promise<CallerIdentity> {
    const { db, newUser, log } = this.#options;
    const actor = `bearer:${issuer}`;
    const person = { ...personOf(issuer, subject, claims), picture: null };
    const { userId, isBlocked, signedUpWith, isClaimed } = await resolveUser(db, person, { ...newUser, actor });
    if (signedUpWith !== null) {
      log.info({ user: userId, kind: 'signup', amount: signedUpWith, balance: signedUpWith, actor }, 'signup');
    }
    if (isClaimed) log.info({ user: userId, actor }, 'a user was claimed by address');
    return { userId, keyId: null, hasKeyLimit: false, isBlocked, goodUntil, issuer, scopes: scopesOf(claims) };
  }
}

/** RFC 9068 §2.2.3 has one text with blanks; some providers have a list, or call it `scp`. */
function scopesOf({ scope, scp }: GoodToken['claims']): string[] {
  const scopes = scope ?? scp ?? '';
  if (Array.isArray(scopes)) return scopes.filter((each) => typeof each === 'string');
  return typeof scopes === 'string' ? scopes.split(' ').filter((each) => each !== '') : [];
}
