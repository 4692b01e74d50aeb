// The gateway's own cookies, by their names: pure. What browsers bring of them is for no upstream to see, and no upstream
// may plant one. Names are read as the most lenient reader of cookies might, because a cookie that one reader takes for
// another's is a session in the wrong hands.

/** What the names of all of them begin with, after `__Host-` where TLS allows it. */
export const ownCookiePrefix = 'tollgate_';

const anywhere = new RegExp(ownCookiePrefix, 'i');

/**
 * Browsers send a cookie without a name back as its value alone, so `=tollgate_session=x` comes back as one of ours. `\s`
 * has the no-break space too, which JavaScript trims.
 */
const atStart = new RegExp(String.raw`^[\s=]*(?:__(?:host|secure)-)?${ownCookiePrefix}`, 'i');

/** A `Cookie` field without the gateway's cookies, all others byte for byte; null when nothing is left. */
export function withoutOwnCookies(cookieField: string): string | null {
  if (!anywhere.test(cookieField)) return cookieField;
  // Quotes do not hold a cookie together: to a browser, a semicolon inside of them is the end of it.
  const cookies = cookieField.split(';');
  const others = cookies.filter((cookie) => !atStart.test(cookie));
  if (others.length === cookies.length) return cookieField;
  if (others.every((cookie) => cookie.trim() === '')) return null;
  const text = others.join(';');
  // The blank was behind the semicolon of one that is gone.
  return others[0] === cookies[0] ? text : text.trimStart();
}

/** Whether a `Set-Cookie` field sets one of the gateway's cookies. */
export function setsOwnCookie(setCookieField: string): boolean {
  return atStart.test(setCookieField);
}
