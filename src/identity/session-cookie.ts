// The cookies of the gateway: what they are called, how they are set, and how the one of a session is found again. And
// what a request has to prove before that one counts: browsers send it along whoever made them ask.

import { randomBytes } from 'node:crypto';
import type { Place } from '../config/config.ts';
import { ownCookiePrefix } from '../config/own-cookies.ts';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** How a cookie of the portal is set: by `reply.setCookie`. */
export interface CookieTerms {
  readonly path: string;
  readonly secure: boolean;
  readonly httpOnly: true;
  readonly sameSite: 'lax';
}

/** The name of a cookie: with TLS one that no other host and no clear-text answer can set. */
export function cookieName(portal: Place, name: string): string {
  return `${portal.isSecure ? '__Host-' : ''}${ownCookiePrefix}${name}`;
}

/** The terms of every cookie at the portal. `__Host-` wants the whole host as the path. */
export function cookieTerms(portal: Place): CookieTerms {
  return { path: portal.isSecure ? '/' : portal.path || '/', secure: portal.isSecure, httpOnly: true, sameSite: 'lax' };
}

/** 256 random bits. */
export function newSessionId(): string {
  return randomBytes(32).toString('base64url');
}

const idShape = /^[\w-]{43}$/;

/**
 * The session that a `Cookie` field names: null without one, '' where it can be none, or where there are two: one of them was
 * put there by somebody else.
 */
export function sessionIdIn(field: string | undefined, name: string): string | null {
  if (field === undefined || !field.includes(name)) return null;
  const ids = field
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  const [id] = ids;
  if (id === undefined) return null;
  return ids.length === 1 && idShape.test(id) ? id : '';
}

/** Whether a request was made by a page of one of these origins. Nothing else can be said by a page of another. */
export function isMadeBy(origins: readonly string[], headers: Headers): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const { origin } = headers;
  return typeof origin === 'string' && origins.includes(origin);
}

/** Whether a person is to see the answer, and no script: also after the way back from a provider, which is foreign all along. */
export function isNavigation(headers: Headers): boolean {
  return headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
}

/** Whether nothing says that a page of another origin made a request. For what changes nothing and only its caller reads. */
export function isNotForeign(origins: readonly string[], headers: Headers): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  const { origin } = headers;
  return origin === undefined || (typeof origin === 'string' && origins.includes(origin));
}
