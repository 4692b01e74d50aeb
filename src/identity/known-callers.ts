// The callers that were seen lately, by the hash of their credential: a warm caller costs no database statement and no
// signature check. Bounded in number and age, and emptied of what changed as soon as the store tells; what could not be
// vouched for is asked anew. While the store is down it is not asked: what it said last has to do.

import { LRUCache } from 'lru-cache';
import { TollgateError } from '../errors.ts';
import type { CallerIdentity } from '../store/identities.ts';
import type { Change } from '../store/sync/exchange.ts';

/** Callers kept, and for how long where nobody says otherwise. */
const knownMax = 50_000;
const knownAgeMaxMs = 5 * 60_000;
/** Unknown credentials kept, so that a flood of them does not become a flood of look-ups. */
const unknownMax = 10_000;
const unknownAgeMaxMs = 10_000;
/** For so long the last word on a caller spares asking again, which is asking a provider where a token is not ours to read. */
const lastWordAgeMaxMs = 5_000;
/** Look-ups under way at once; beyond that a caller is told to come again. */
const lookUpsMax = 1_000;

/** What there is to say of a caller while the store does not answer: as good as its last word, and not to be remembered for long. */
export interface LastWord {
  readonly lastWord: CallerIdentity;
}

/** Finds who is behind a credential; null for nobody. Rejects with a TollgateError of its own, or as the store does. */
export type LookUp = (credential: string, hash: string) => Promise<CallerIdentity | LastWord | null>;

/** How it goes on while the store does not answer. */
export interface StandIn {
  readonly isStoreUp: () => boolean;
  /** What the store said last of a credential with this hash; null when nothing is known. */
  find(hash: string): CallerIdentity | null;
  /** Takes in what the store says. */
  note(hash: string, found: CallerIdentity | null): void;
}

/** For look-ups that do not need the store, or do so themselves. */
const alwaysUp: StandIn = { isStoreUp: () => true, find: () => null, note: () => {} };

export class KnownCallers {
  readonly #lookUp: LookUp;
  readonly #standIn: StandIn;
  readonly #known: LRUCache<string, CallerIdentity>;
  readonly #unknown = new LRUCache<string, true>({ max: unknownMax, ttl: unknownAgeMaxMs });
  readonly #lookUps = new Map<string, Promise<CallerIdentity | null>>();
  /** Those that were forgotten too: they are still being answered. */
  #underWay = 0;
  /** Raised with every change: a look-up that began before one may have read what was true before it. */
  #generation = 0;

  /** `ageMaxMs`: for so long a caller is vouched for without asking again. */
  constructor(lookUp: LookUp, ageMaxMs = knownAgeMaxMs, standIn = alwaysUp) {
    this.#lookUp = lookUp;
    this.#standIn = standIn;
    this.#known = new LRUCache({ max: knownMax, ttl: ageMaxMs });
  }

  /** The caller with this hash, if it is known. */
  get(hash: string): CallerIdentity | undefined {
    return this.#known.get(hash);
  }

  /**
   * Who is behind a credential with this hash, or null. At once when that is known, else a promise. Rejects as the look-up
   * does, and with TG_STORE_UNAVAILABLE when the store does not answer; throws that when it is known to be down, and
   * TG_OVERLOADED when too many are under way.
   */
  find(hash: string, credential: string): CallerIdentity | null | Promise<CallerIdentity | null> {
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    if (this.#unknown.has(hash)) return null;
    if (!this.#standIn.isStoreUp()) return this.#lastWord(hash);
    const underWay = this.#lookUps.get(hash);
    if (underWay !== undefined) return underWay;
    if (this.#underWay >= lookUpsMax) throw new TollgateError('TG_OVERLOADED');
    this.#underWay += 1;
    const lookUp = this.#look(hash, credential).finally(() => {
      this.#underWay -= 1;
      if (this.#lookUps.get(hash) === lookUp) this.#lookUps.delete(hash);
    });
    this.#lookUps.set(hash, lookUp);
    return lookUp;
  }

  async #look(hash: string, credential: string): Promise<CallerIdentity | null> {
    const generation = this.#generation;
    const found = await this.#lookUp(credential, hash).catch((error) => {
      if (error instanceof TollgateError) throw error;
      return { lastWord: this.#lastWord(hash, error) };
    });
    if (found !== null && 'lastWord' in found) {
      if (generation === this.#generation) this.#known.set(hash, found.lastWord, { ttl: lastWordAgeMaxMs });
      return found.lastWord;
    }
    const identity = found;
    if (generation !== this.#generation) return identity;
    this.#standIn.note(hash, identity);
    if (identity === null) this.#unknown.set(hash, true);
    else this.#known.set(hash, identity);
    return identity;
  }

  /** What the store said last. Throws TG_STORE_UNAVAILABLE when nothing is known. */
  #lastWord(hash: string, cause?: unknown): CallerIdentity {
    const known = this.#standIn.find(hash);
    if (known === null) throw new TollgateError('TG_STORE_UNAVAILABLE', {}, cause);
    return known;
  }

  /** Forgets the keys, users and sessions that changed. */
  forget(changes: readonly Change[]): void {
    const keys = new Set(changes.filter(({ kind }) => kind === 'key').map(({ ref }) => ref));
    const users = new Set(changes.filter(({ kind }) => kind === 'user').map(({ ref }) => ref));
    this.#unknown.clear();
    this.#lookUps.clear();
    for (const { kind, ref } of changes) if (kind === 'session') this.#known.delete(ref);
    this.#forgetWhere(({ keyId, userId }) => (keyId !== null && keys.has(keyId)) || users.has(userId));
  }

  /** Forgets everybody: nobody can be vouched for any more. */
  forgetAll(): void {
    this.#generation += 1;
    this.#known.clear();
    this.#unknown.clear();
    // What was asked before may be answered with what was true before.
    this.#lookUps.clear();
  }

  #forgetWhere(isGone: (caller: CallerIdentity) => boolean): void {
    this.#generation += 1;
    for (const [hash, caller] of this.#known.entries()) {
      if (isGone(caller)) this.#known.delete(hash);
    }
  }
}
