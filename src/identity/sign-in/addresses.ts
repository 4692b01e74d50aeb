// The addresses of sign-in, as browsers and providers see them: pure.

import type { Place } from '../../config/config.ts';

export const authPrefix = '/_tollgate/auth';

/** Where a provider sends people back to: what is registered there. */
export function redirectUriOf(portal: Place, provider: string): string {
  return `${portal.origin}${portal.path}${authPrefix}/callback/${provider}`;
}

/** Where signing in begins. `query` begins with its question mark. */
export function loginUrlOf(portal: Place, provider: string, query: string): string {
  return `${portal.origin}${portal.path}${authPrefix}/login/${provider}${query}`;
}

/** Where people land who have not said where to go. */
export function landingPathOf(portal: Place): string {
  return `${portal.path}/_tollgate/`;
}
