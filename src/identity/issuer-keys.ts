// The public keys of an issuer: found by discovery, read when they are first needed, and kept. A key that is withdrawn is
// good until they are read again, which is minutes; a provider that is down changes nothing for a day.

import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { TollgateError } from '../errors.ts';
import { discover, endpointIn } from './discovery.ts';
import type { ProviderClient } from './provider-client.ts';

/** Keys that were read less than this ago are used as they are: so long may a withdrawn one be good. */
export const keysAgeMaxMs = 5 * 60_000;
/** Read again this much sooner, in the background, so that no caller waits for it. */
const aheadMs = 60_000;
/** A provider that does not answer is asked again after this, and one whose keys lack a name that a token gives. */
const retryAfterMs = 10_000;
/** Without any keys callers wait for them. */
const firstRetryAfterMs = 1_000;
/** For so long the keys of a provider that does not answer are good. */
const outageMaxMs = 24 * 60 * 60_000;
const keysMax = 100;

export interface IssuerKeysOptions {
  readonly issuer: string;
  /** Which names its discovery document may give it; by default this one. */
  readonly isNamed?: (name: unknown) => boolean;
  readonly client: Pick<ProviderClient, 'get'>;
  /** Told when a key is gone that was there before. */
  readonly onChanged: () => void;
  /** Told of each attempt that failed. */
  readonly onFailed: (error: unknown) => void;
  /** Milliseconds that only ever grow. */
  readonly now: () => number;
}

interface Keys {
  /** Each as text. */
  readonly all: ReadonlySet<string>;
  readonly find: JWTVerifyGetKey;
  readonly readAt: number;
}

export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  #keys: Keys | null = null;
  /** When the provider is to be asked again. */
  #dueAt = Number.NEGATIVE_INFINITY;
  #isFailing = false;
  #lookedForNameAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /** Whether what was verified with these keys may be taken as verified still. */
  get isFresh(): boolean {
    return this.#keys !== null && this.#options.now() < this.#dueAt;
  }

  /** Reads them where that is due; waits only where there is nothing good to go on with. Rejects TG_AUTH_UNAVAILABLE. */
  async refresh(): Promise<void> {
    const now = this.#options.now();
    if (now >= this.#dueAt) this.#read();
    if (this.#keys !== null && now - this.#keys.readAt < (this.#isFailing ? outageMaxMs : keysAgeMaxMs)) return;
    await this.#reading;
    if (this.#keys === null || this.#options.now() - this.#keys.readAt >= outageMaxMs) {
      throw new TollgateError('TG_AUTH_UNAVAILABLE');
    }
  }

  /**
   * For `jwtVerify`: the key that a token names. An unknown name is looked for at the provider, though not often; whether it
   * is good cannot be told where that is not due, or the provider does not answer: then rejects TG_AUTH_UNAVAILABLE.
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    await this.refresh();
    try {
      return await this.#findNow(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#lookForNames();
      return this.#findNow(header, token);
    }
  };

  async #lookForNames(): Promise<void> {
    if (this.#reading === null) {
      const now = this.#options.now();
      if (now - this.#lookedForNameAt < retryAfterMs) throw new TollgateError('TG_AUTH_UNAVAILABLE');
      this.#lookedForNameAt = now;
    }
    await this.#read();
    if (this.#isFailing) throw new TollgateError('TG_AUTH_UNAVAILABLE');
  }

  #findNow(...parameters: Parameters<JWTVerifyGetKey>): ReturnType<JWTVerifyGetKey> {
    if (this.#keys === null) throw new TollgateError('TG_AUTH_UNAVAILABLE');
    return this.#keys.find(...parameters);
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readNow().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readNow(): Promise<void> {
    const { issuer, isNamed, client, now, onChanged, onFailed } = this.#options;
    try {
      // They may have moved, and the old place may go on to show what is withdrawn.
      const place = endpointIn(await discover(client, issuer, isNamed), 'jwks_uri', issuer);
      const document = keySetOf(await client.get(place));
      const all = new Set(document.keys.map((key) => JSON.stringify(key)));
      const before = this.#keys?.all ?? all;
      this.#keys = { all, find: createLocalJWKSet(document), readAt: now() };
      this.#isFailing = false;
      this.#dueAt = now() + keysAgeMaxMs - aheadMs;
      if ([...before].some((key) => !all.has(key))) onChanged();
    } catch (error) {
      this.#isFailing = true;
      this.#dueAt = now() + (this.#keys === null ? firstRetryAfterMs : retryAfterMs);
      onFailed(error);
    }
  }
}

type KeySet = Parameters<typeof createLocalJWKSet>[0];

function keySetOf(document: unknown): KeySet {
  const keys = (document as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length > keysMax) throw new Error('the keys are no set of keys');
  return { keys };
}
