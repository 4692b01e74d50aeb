// How somebody whom a provider vouches for becomes a user, and what the log tells of it: the same for tokens and for people
// who sign in.

import type { BaseLogger } from 'pino';
import type { Db } from '../store/database.ts';
import { type KnownUser, type Person, resolveUser, type SignUpTerms } from '../store/sign-ups.ts';

export interface NewcomersOptions {
  readonly db: Db;
  /** What a user begins with who was not known before. */
  readonly newUser: Omit<SignUpTerms, 'actor'>;
  readonly log: Pick<BaseLogger, 'info'>;
}

/** The user behind an identity, who may be new. `actor` signs for the starting credits. Rejects as the store does. */
export async function welcome(person: Person, actor: string, options: NewcomersOptions): Promise<KnownUser> {
  const { db, newUser, log } = options;
  const user = await resolveUser(db, person, { ...newUser, actor });
  const { userId, signedUpWith, isClaimed } = user;
  if (signedUpWith !== null) {
    log.info({ user: userId, kind: 'signup', amount: signedUpWith, balance: signedUpWith, actor }, 'signup');
  }
  if (isClaimed) log.info({ user: userId, actor }, 'a user was claimed by address');
  return user;
}
