// What a sign-in under way carries from its start to its end: pure. The state is in the address that the provider is given
// and, signed, in a cookie of the browser that began; only together are they good, for ten minutes and once at each instance.

import { hash, randomBytes } from 'node:crypto';
import type { Place } from '../../config/config.ts';

export const stateAgeMaxMs = 10 * 60_000;
const returnToLengthMax = 512;

/** A state that nobody can guess, with where to go afterwards. */
export function openState(returnTo: string): string {
  const endsAt = Date.now() + stateAgeMaxMs;
  return [randomBytes(16).toString('base64url'), endsAt.toString(36), Buffer.from(returnTo).toString('base64url')].join(
    '.',
  );
}

/** Where a state leads to, or null when it has ended or is none. */
export function returnToOf(state: string): string | null {
  const [random = '', endsAt = '', returnTo] = state.split('.');
  if (random === '' || returnTo === undefined || !(Number.parseInt(endsAt, 36) > Date.now())) return null;
  return Buffer.from(returnTo, 'base64url').toString();
}

/** What the ID token of this sign-in has to repeat (OpenID Connect Core §3.1.2.1). Says nothing about the state. */
export function nonceOf(state: string): string {
  return hash('sha256', `nonce ${state}`, 'base64url');
}

/**
 * A path at the portal's own origin, from what a stranger may have written; null when it leads anywhere else. Two slashes, or
 * one and a backslash, begin another host to a browser.
 */
export function safeReturnTo(written: string, portal: Place): string | null {
  const path = written.startsWith(`${portal.origin}/`) ? written.slice(portal.origin.length) : written;
  if (path.length > returnToLengthMax || !/^\/(?!\/)[!-[\]-~]*$/.test(path)) return null;
  return URL.canParse(path, portal.origin) && new URL(path, portal.origin).origin === portal.origin ? path : null;
}
