// Sessions of people who have signed in, as far as they are remembered. A session in use costs a look at the store once a
// minute, which is also when its use is noted.

import { hash } from 'node:crypto';
import type { Place, SignIn } from '../config/config.ts';
import type { Db } from '../store/database.ts';
import type { CallerIdentity } from '../store/identities.ts';
import { beginSession, endSession, endSessionsOfSameUser, findSession, touchSession } from '../store/sessions.ts';
import type { Change } from '../store/sync/exchange.ts';
import { KnownCallers } from './known-callers.ts';
import { cookieName, isMadeBy, isNavigation, isNotForeign, newSessionId, sessionIdIn } from './session-cookie.ts';

export interface SessionsOptions {
  readonly db: Db;
  readonly terms: Pick<SignIn, 'maxAge' | 'idleTimeout'>;
  readonly portal: Place;
  /** Where the upstreams are served. */
  readonly publicPlace: Place;
}

/** Somebody who has signed in just now. */
export interface SignedIn {
  readonly userId: string;
  readonly provider: string;
  readonly vouchedEmail: string | null;
}

/** What a request is read for. `IncomingMessage` is one. */
interface Request {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly method?: string | undefined;
}

/** For so long the end of idling may be late. */
const idleSlackMaxMs = 60_000;

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #known: KnownCallers;
  readonly #slackMs: number;
  readonly cookie: string;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#slackMs = Math.min(idleSlackMaxMs, Math.ceil(options.terms.idleTimeout / 10));
    this.#known = new KnownCallers((_id, hash) => this.#look(hash), this.#slackMs);
    this.cookie = cookieName(options.portal, 'session');
  }

  /** What a request's cookie names, or null without one that counts. On the gateway's own paths reading asks for less. */
  idIn({ headers, method }: Request, isOwnPath: boolean): string | null {
    const id = sessionIdIn(headers['cookie'] as string | undefined, this.cookie);
    if (id === null) return null;
    const { portal, publicPlace } = this.#options;
    const isReading = method === 'GET' || method === 'HEAD';
    if (isOwnPath && isReading) return isNavigation(headers) || isNotForeign([portal.origin], headers) ? id : null;
    if (!isOwnPath) return isMadeBy([publicPlace.origin, portal.origin], headers) ? id : null;
    // A page of an upstream shares the portal's cookies where they differ by port alone, and is of the same origin as its host.
    const isPortals = headers['origin'] === undefined || headers['origin'] === portal.origin;
    return isPortals && isMadeBy([portal.origin], headers) ? id : null;
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

  /** Begins a session and gives what its cookie is to hold. `replaced` is what the browser had before. */
  async begin({ userId, provider, vouchedEmail }: SignedIn, replaced: string | null): Promise<string> {
    const { db, terms } = this.#options;
    const id = newSessionId();
    const expiresAt = new Date(Date.now() + terms.maxAge).toISOString();
    const session = { hash: this.hashOf(id), userId, provider, vouchedEmail, expiresAt };
    const old = replaced === null ? null : this.hashOf(replaced);
    await db.transaction().execute((trx) => beginSession(trx, session, old));
    if (old !== null) this.#known.forget([{ id: 0, kind: 'session', ref: old }]);
    return id;
  }

  /** Ends a session, or with it all of its user's. Elsewhere that counts within a second. */
  async end(id: string, { isEverywhere }: { isEverywhere: boolean }): Promise<void> {
    const ended = this.hashOf(id);
    await (isEverywhere ? endSessionsOfSameUser : endSession)(this.#options.db, ended);
    if (isEverywhere) this.#known.forgetAll();
    else this.#known.forget([{ id: 0, kind: 'session', ref: ended }]);
  }

  forget(changes: readonly Change[]): void {
    this.#known.forget(changes);
  }

  forgetAll(): void {
    this.#known.forgetAll();
  }

  async #look(hash: string): Promise<CallerIdentity | null> {
    const { db, terms } = this.#options;
    // Uses since the last look are not noted.
    const session = await findSession(db, hash, terms.idleTimeout + this.#slackMs);
    if (session === null) return null;
    await touchSession(db, hash);
    const { userId, isBlocked, expiresAt } = session;
    const goodUntil = Date.parse(expiresAt);
    return { userId, keyId: null, hasKeyLimit: false, isBlocked, goodUntil, issuer: null, scopes: null };
  }
}
