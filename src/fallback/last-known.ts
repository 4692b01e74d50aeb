// What the store said last of the callers whom this instance has served in the last day: what is there to go by while the
// store does not answer. Of keys there are hashes alone; sessions are not kept.

import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '../clock.ts';
import type { CallerIdentity } from '../store/identities.ts';
import type { Change } from '../store/sync/exchange.ts';
import type { LeaseAnswer } from '../store/sync/grants.ts';
import type { Callers } from './file.ts';
import { type Dated, Recent } from './recent.ts';

/** Behind an API key, by its hash. */
export type KnownKey = Pick<CallerIdentity, 'userId' | 'hasKeyLimit' | 'isBlocked' | 'goodUntil'> &
  Dated & { readonly keyId: string };

/** Behind a subject whom an issuer of tokens vouches for. */
export interface KnownSubject extends Dated {
  readonly userId: string;
  readonly isBlocked: boolean;
}

/** The numbers of one user. */
export interface Standing extends Dated {
  readonly credits: number;
  /** The sum of all live leases of these credits. */
  readonly leased: number;
}

/** Of each kind. */
export const callersMax = 100_000;

export class LastKnown {
  readonly keys: Recent<KnownKey>;
  readonly subjects: Recent<KnownSubject>;
  readonly standings: Recent<Standing>;
  readonly #clock: Pick<Clock, 'nowMs' | 'date'>;
  /** Live instances that share the credits. */
  #instances = 1;
  /** Raised when identities are forgotten: what was asked before that may be answered with what was true before it. */
  #generation = 0;
  /** Whether anything has changed since the last `takeNews`, and whether somebody was forgotten. */
  #news: 'none' | 'some' | 'urgent' = 'none';

  constructor(clock: Pick<Clock, 'nowMs' | 'date'> = systemClock) {
    this.#clock = clock;
    this.keys = new Recent(callersMax, clock);
    this.subjects = new Recent(callersMax, clock);
    this.standings = new Recent(callersMax, clock);
  }

  get isEmpty(): boolean {
    return this.keys.size === 0 && this.subjects.size === 0;
  }

  get generation(): number {
    return this.#generation;
  }

  get instances(): number {
    return this.#instances;
  }

  findKey(hash: string): CallerIdentity | null {
    const known = this.keys.get(hash);
    if (known === null) return null;
    const { userId, keyId, hasKeyLimit, isBlocked, goodUntil } = known;
    return { userId, keyId, hasKeyLimit, isBlocked, goodUntil, issuer: null, scopes: null };
  }

  /** Notes what the store says of a key; null: that there is none. */
  noteKey(hash: string, found: CallerIdentity | null): void {
    if (found === null || found.keyId === null) {
      if (this.keys.delete(hash)) this.#news = 'urgent';
      return;
    }
    const { userId, keyId, hasKeyLimit, isBlocked, goodUntil } = found;
    this.keys.set(hash, { userId, keyId, hasKeyLimit, isBlocked, goodUntil, atMs: this.#atMs() });
    this.#isNews();
  }

  /** Notes what the store says of a key that nobody has used just now: it does not get younger by that. */
  correctKey(hash: string, found: CallerIdentity | null): void {
    if (found === null || found.keyId === null) {
      this.noteKey(hash, null);
      return;
    }
    const { userId, keyId, hasKeyLimit, isBlocked, goodUntil } = found;
    const was = this.keys.correct(hash, { userId, keyId, hasKeyLimit, isBlocked, goodUntil });
    if (was?.isBlocked !== isBlocked) this.#news = 'urgent';
    this.#isNews();
  }

  findSubject(issuer: string, subject: string): KnownSubject | null {
    return this.subjects.get(nameOf(issuer, subject));
  }

  noteSubject(issuer: string, subject: string, { userId, isBlocked }: Omit<KnownSubject, 'atMs'>): void {
    this.subjects.set(nameOf(issuer, subject), { userId, isBlocked, atMs: this.#atMs() });
    this.#isNews();
  }

  /** By the name under which a subject is kept; '' for one that is gone. */
  userOfSubject(name: string): string {
    return this.subjects.get(name)?.userId ?? '';
  }

  /** Notes whom the store says a subject is; null: nobody. */
  correctSubject(name: string, found: Omit<KnownSubject, 'atMs'> | null): void {
    const known = this.subjects.get(name);
    if (known === null || (known.userId === found?.userId && known.isBlocked === found.isBlocked)) return;
    if (found === null) this.subjects.delete(name);
    else this.subjects.correct(name, found);
    this.#news = 'urgent';
  }

  /** Takes over what another process knew; of two that speak of the same the later counts. */
  merge({ instances, keys, subjects, standings }: Callers): void {
    this.noteInstances(Math.max(this.#instances, instances));
    this.keys.merge(keys);
    this.subjects.merge(subjects);
    this.standings.merge(standings);
  }

  standingOf(user: string): Standing | null {
    return this.standings.get(user);
  }

  noteStanding(user: string, credits: number, leased: number): void {
    this.standings.set(user, { credits, leased, atMs: this.#atMs() });
    this.#isNews();
  }

  /** Notes what a reply says of users. */
  noteAnswers(answers: readonly LeaseAnswer[]): void {
    for (const { user, balance, leased } of answers) this.noteStanding(user, balance, leased);
  }

  noteInstances(instances: number): void {
    this.#instances = Math.max(1, instances);
  }

  /** Forgets the keys and users that changed. */
  forget(changes: readonly Change[]): void {
    const keys = new Set(changes.filter(({ kind }) => kind === 'key').map(({ ref }) => ref));
    const users = new Set(changes.filter(({ kind }) => kind === 'user').map(({ ref }) => ref));
    if (keys.size === 0 && users.size === 0) return;
    this.#generation += 1;
    const isKeyGone = this.keys.deleteWhere(({ keyId, userId }) => keys.has(keyId) || users.has(userId));
    const isSubjectGone = this.subjects.deleteWhere(({ userId }) => users.has(userId));
    if (isKeyGone || isSubjectGone) this.#news = 'urgent';
  }

  /** What has changed since this was asked last: `urgent` when somebody must not be found any more. */
  takeNews(): 'none' | 'some' | 'urgent' {
    const news = this.#news;
    this.#news = 'none';
    return news;
  }

  /** What was taken could not be put down: it is news still. */
  giveBackNews(news: 'some' | 'urgent'): void {
    this.#isNews();
    if (news === 'urgent') this.#news = news;
  }

  prune(): void {
    for (const facts of [this.keys, this.subjects, this.standings]) facts.prune();
  }

  #atMs(): number {
    return this.#clock.date().getTime();
  }

  #isNews(): void {
    if (this.#news === 'none') this.#news = 'some';
  }
}

/** The subject itself may be an address: it is not written down. */
export function nameOf(issuer: string, subject: string): string {
  return createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('hex');
}
