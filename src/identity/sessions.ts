// Sessions of people who have signed in, as far as they are remembered. A session in use costs a look at the store once a
// minute, which is also when its use is noted.

import { hash } from 'node:crypto';
import type { Place, SignIn } from '../config/config.ts';
import { type Db, transact } from '../store/database.ts';
import type { CallerIdentity } from '../store/identities.ts';
import {
  beginSession,
  clearEndedSessions,
  endSession,
  endSessionsOfUser,
  findSession,
  touchSession,
} from '../store/sessions.ts';
import type { Change } from '../store/sync/exchange.ts';
import { isAdmin, mayEnter } from './admission.ts';
import { KnownCallers } from './known-callers.ts';
import { cookieName, isMadeBy, isNavigation, isNotForeign, newSessionId, sessionIdIn } from './session-cookie.ts';

export interface SessionsOptions {
  readonly db: Db;
  readonly signIn: SignIn;
  readonly portal: Place;
  /** Where the upstreams are served. */
  readonly publicPlace: Place;
  /** False while the store is down: sessions are not looked up then. */
  readonly isStoreUp?: () => boolean;
}

/** Somebody who has signed in just now. */
export interface SignedIn {
  readonly userId: string;
  readonly provider: string;
  readonly vouchedEmail: string | null;
}

/** What is read of a request. `IncomingMessage` is one. */
interface Request {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Calls on routes; at the gateway's own paths what only reads, what changes something, and signing out. */
export type SessionUse = 'spend' | 'read' | 'change' | 'end';

/** For so long the end of idling may be late. */
const idleSlackMaxMs = 60_000;

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #known: KnownCallers;
  readonly #slackMs: number;
  readonly cookie: string;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#slackMs = Math.min(idleSlackMaxMs, Math.ceil(options.signIn.idleTimeout / 10));
    const { isStoreUp = () => true } = options;
    const standIn = { isStoreUp, find: () => null, note: () => {} };
    this.#known = new KnownCallers((_id, hash) => this.#look(hash), this.#slackMs, standIn);
    this.cookie = cookieName(options.portal, 'session');
  }

  /** What a request's cookie names, or null without one that counts. */
  idIn({ headers }: Request, use: SessionUse): string | null {
    const id = sessionIdIn(headers['cookie'] as string | undefined, this.cookie);
    return id !== null && this.isProven({ headers }, use) ? id : null;
  }

  /** Whether a request comes from where a session may be used so. */
  isProven({ headers }: Request, use: SessionUse): boolean {
    const { portal, publicPlace } = this.#options;
    const { origin } = headers;
    switch (use) {
      case 'spend':
        return isMadeBy([publicPlace.origin, portal.origin], headers);
      case 'read':
        return isNavigation(headers) || isNotForeign([portal.origin], headers);
      // Browsers send Origin with every change, and a page of an upstream may be of the same site as the portal.
      case 'change':
        return (origin === undefined || origin === portal.origin) && isMadeBy([portal.origin], headers);
      // Whoever says nothing of where it comes from is no browser.
      case 'end':
        return (origin === undefined || origin === portal.origin) && isNotForeign([portal.origin], headers);
    }
  }

  /** The hash of a session, as the store keeps it. */
  hashOf(id: string): string {
    return hash('sha256', id, 'hex');
  }

  isKnown(id: string): boolean {
    return this.#known.get(this.hashOf(id)) !== undefined;
  }

  /** Who has signed in, or null. At once when that is known, else a promise that rejects as look-ups do. */
  find(id: string): CallerIdentity | null | Promise<CallerIdentity | null> {
    return id === '' ? null : this.#known.find(this.hashOf(id), id);
  }

  /** The operator whose session this is, as `provider:address`, or null. Asked anew each time. Rejects as look-ups do. */
  async findOperator(id: string): Promise<string | null> {
    const caller = await this.find(id);
    if (caller === null || caller.isBlocked) return null;
    const { db, signIn } = this.#options;
    const session = await findSession(db, this.hashOf(id), signIn.idleTimeout + this.#slackMs);
    if (session === null || session.isBlocked) return null;
    const { provider, vouchedEmail } = session;
    return isAdmin(signIn, provider, vouchedEmail) ? `${provider}:${vouchedEmail?.toLowerCase()}` : null;
  }

  /** Begins a session and gives what its cookie is to hold. `replaced` is what the browser had before. */
  async begin({ userId, provider, vouchedEmail }: SignedIn, replaced: string | null): Promise<string> {
    const { db, signIn } = this.#options;
    const id = newSessionId();
    const expiresAt = new Date(Date.now() + signIn.maxAge).toISOString();
    const session = { hash: this.hashOf(id), userId, provider, vouchedEmail, expiresAt };
    const old = replaced === null ? null : this.hashOf(replaced);
    await clearEndedSessions(db);
    await transact(db, (trx) => beginSession(trx, session, old));
    if (old !== null) this.#forgetOne('session', old);
    return id;
  }

  /** Ends a session, or with one that is good all of its user's. Elsewhere that counts within a second. False when there was none. */
  async end(id: string, { isEverywhere }: { isEverywhere: boolean }): Promise<boolean> {
    const { db } = this.#options;
    const caller = isEverywhere ? await this.find(id) : null;
    const hasEnded = await endSession(db, this.hashOf(id));
    if (hasEnded) this.#forgetOne('session', this.hashOf(id));
    if (caller === null) return hasEnded;
    await endSessionsOfUser(db, caller.userId);
    this.#forgetOne('user', caller.userId);
    return true;
  }

  #forgetOne(kind: Change['kind'], ref: string): void {
    this.#known.forget([{ id: 0, kind, ref }]);
  }

  forget(changes: readonly Change[]): void {
    this.#known.forget(changes);
  }

  forgetAll(): void {
    this.#known.forgetAll();
  }

  async #look(hash: string): Promise<CallerIdentity | null> {
    const { db, signIn } = this.#options;
    // Uses since the last look are not noted.
    const session = await findSession(db, hash, signIn.idleTimeout + this.#slackMs);
    // Who may not enter any more is out, though their cookie is good.
    if (session === null || !mayEnter(signIn, session.provider, session.vouchedEmail)) return null;
    await touchSession(db, hash);
    const { userId, isBlocked, expiresAt } = session;
    const goodUntil = Date.parse(expiresAt);
    return { userId, keyId: null, hasKeyLimit: false, isBlocked, goodUntil, issuer: null, scopes: null };
  }
}
