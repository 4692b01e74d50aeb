// Pure: what a path of a route may be. A path must have one reading only, because calls that can be read in two ways
// are refused: so no dot segments, no empty ones, and no two routes that differ in case or escapes alone.

/** The prefix of the gateway's own pages. */
export const reservedPrefix = '/_tollgate';

/** What is wrong with a path, to follow its key, and what to write; null when it is fine. */
export function findPathFault(path: string): { message: string; remedy: string } | null {
  if (/[?#]/.test(path)) {
    return { message: 'holds a query or a fragment', remedy: 'Write the path alone: queries are always forwarded' };
  }
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) {
    return { message: 'has a % without two hexadecimal digits', remedy: 'Write %25 for a percent sign' };
  }
  if (/[\\;]/.test(path)) {
    return { message: 'holds a backslash or a semicolon', remedy: 'Write a path without them' };
  }
  if (/\/:\w|\*(?:\/|$)|[{}]/.test(path)) {
    return {
      message: 'is written as a pattern',
      remedy: 'Write a plain prefix: /users matches /users and all below it',
    };
  }
  if (path.includes('//')) return { message: 'has an empty segment', remedy: 'Write one / where there are two' };
  const decoded = decodeFully(path);
  if (decoded.split(/[/\\]/).some((segment) => segment === '.' || segment === '..')) {
    return { message: 'has a dot segment', remedy: 'Write the path that the dots lead to' };
  }
  if (/\p{Cc}/u.test(decoded)) {
    return { message: 'holds a control character', remedy: 'Write a path without it' };
  }
  return null;
}

/** Whether a path lies under the gateway's own prefix, in any reading. */
export function isReserved(path: string): boolean {
  const loose = looselyRead(path);
  return loose === reservedPrefix || loose.startsWith(`${reservedPrefix}/`);
}

/** The loose reading: decoded until stable, `\` as `/`, `;…` cut, `//` merged, in lower case. */
export function looselyRead(path: string): string {
  return decodeFully(path)
    .replaceAll('\\', '/')
    .replace(/;[^/]*/g, '')
    .replace(/\/{2,}/g, '/')
    .toLowerCase();
}

/** The one spelling of a path: a prefix matches on segment boundaries, so a slash at its end says nothing. */
export function spellPath(path: string, isExact = false): string {
  return !isExact && path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

/** Ends, because every round shortens the text or leaves it as it is. Bytes become characters one by one. */
function decodeFully(path: string): string {
  let decoded = path;
  for (;;) {
    const next = decoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    if (next === decoded) return decoded;
    decoded = next;
  }
}
