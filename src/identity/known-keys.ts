// The API keys that have called lately, by hash: a warm caller costs no database statement. Bounded in number and age,
// and emptied of what changed as soon as the store tells; what could not be vouched for is asked anew.

import { LRUCache } from 'lru-cache';
import { TollgateError } from '../errors.ts';
import type { Db } from '../store/database.ts';
import { findKeyIdentity, type KeyIdentity } from '../store/identities.ts';
import type { Change } from '../store/sync/exchange.ts';

/** Keys kept, and for how long at most without asking the store again. */
const keysMax = 50_000;
const keyAgeMaxMs = 5 * 60_000;
/** Unknown keys kept, so that a flood of them does not become a flood of look-ups. */
const unknownMax = 10_000;
const unknownAgeMaxMs = 10_000;
/** Look-ups under way at once; beyond that a caller is told to come again. */
const lookUpsMax = 1_000;

export class KnownKeys {
  readonly #db: Db;
  readonly #known = new LRUCache<string, KeyIdentity>({ max: keysMax, ttl: keyAgeMaxMs });
  readonly #unknown = new LRUCache<string, true>({ max: unknownMax, ttl: unknownAgeMaxMs });
  readonly #lookUps = new Map<string, Promise<KeyIdentity | null>>();
  /** Raised with every change: a look-up that began before one may have read what was true before it. */
  #generation = 0;

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * The key with this hash, or null. At once when it is known, else a promise. Rejects with TG_STORE_UNAVAILABLE when
   * the store does not answer, TG_OVERLOADED when too many look-ups are under way.
   */
  find(hash: string): KeyIdentity | null | Promise<KeyIdentity | null> {
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    if (this.#unknown.has(hash)) return null;
    const underWay = this.#lookUps.get(hash);
    if (underWay !== undefined) return underWay;
    if (this.#lookUps.size >= lookUpsMax) throw new TollgateError('TG_OVERLOADED');
    const lookUp = this.#lookUp(hash).finally(() => this.#lookUps.delete(hash));
    this.#lookUps.set(hash, lookUp);
    return lookUp;
  }

  async #lookUp(hash: string): Promise<KeyIdentity | null> {
    const generation = this.#generation;
    const identity = await findKeyIdentity(this.#db, hash).catch((error) => {
      throw new TollgateError('TG_STORE_UNAVAILABLE', {}, error);
    });
    if (identity === null) this.#unknown.set(hash, true);
    else if (generation === this.#generation) this.#known.set(hash, identity);
    return identity;
  }

  /** Forgets the keys and users that changed. */
  forget(changes: readonly Change[]): void {
    this.#generation += 1;
    this.#unknown.clear();
    const keys = new Set(changes.filter(({ kind }) => kind === 'key').map(({ ref }) => ref));
    const users = new Set(changes.filter(({ kind }) => kind === 'user').map(({ ref }) => ref));
    for (const [hash, { keyId, userId }] of this.#known.entries()) {
      if (keys.has(keyId) || users.has(userId)) this.#known.delete(hash);
    }
  }

  /** Forgets everybody: the store has been silent for so long that nobody can be vouched for. */
  forgetAll(): void {
    this.#generation += 1;
    this.#known.clear();
  }
}
