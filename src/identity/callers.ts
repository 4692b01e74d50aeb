// Everybody who may call, as far as it is remembered, whatever they show: one door for finding and forgetting them.

import type { CredentialKind } from '../config/config.ts';
import type { CallerIdentity } from '../store/identities.ts';
import type { Change } from '../store/sync/exchange.ts';
import { hashKey } from './api-keys.ts';
import type { BearerTokens } from './bearer.ts';
import type { KnownCallers } from './known-callers.ts';
import type { Sessions } from './sessions.ts';

/** What a caller has shown. */
export interface Credential {
  readonly kind: CredentialKind;
  readonly text: string;
}

export class Callers {
  readonly keys: KnownCallers;
  /** Null where no issuer of tokens is configured. */
  readonly tokens: BearerTokens | null;
  /** Null where nobody can sign in. */
  readonly sessions: Sessions | null;

  constructor(keys: KnownCallers, tokens: BearerTokens | null, sessions: Sessions | null) {
    this.keys = keys;
    this.tokens = tokens;
    this.sessions = sessions;
  }

  /**
   * Who is behind a credential, or null when it is not good. At once when that is known, else a promise. Rejects with
   * TG_AUTH_UNAVAILABLE or TG_STORE_UNAVAILABLE when it cannot be told; throws TG_OVERLOADED.
   */
  find({ kind, text }: Credential): CallerIdentity | null | Promise<CallerIdentity | null> {
    if (kind === 'key') return this.keys.find(hashKey(text), text);
    return (kind === 'bearer' ? this.tokens?.find(text) : this.sessions?.find(text)) ?? null;
  }

  /** Whether a credential was found good before. */
  isKnown({ kind, text }: Credential): boolean {
    if (kind === 'key') return this.keys.get(hashKey(text)) !== undefined;
    return (kind === 'bearer' ? this.tokens?.isKnown(text) : this.sessions?.isKnown(text)) ?? false;
  }

  /** Forgets the keys, users and sessions that changed. */
  forget(changes: readonly Change[]): void {
    for (const part of [this.keys, this.tokens, this.sessions]) part?.forget(changes);
  }

  /** Forgets everybody: nobody can be vouched for any more. */
  forgetAll(): void {
    for (const part of [this.keys, this.tokens, this.sessions]) part?.forgetAll();
  }
}
