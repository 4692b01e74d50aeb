// What a browser makes of a `Set-Cookie`: the rules of RFC 6265 and of its revision (prefixes, SameSite), for one host.

export interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
  readonly isSecure: boolean;
  readonly isHttpOnly: boolean;
  readonly sameSite: 'strict' | 'lax' | 'none';
  /** Null for one that goes with the browser. */
  readonly expiresAtMs: number | null;
}

/** The cookie, which may be one that has expired, or null where a browser ignores it. */
export function readSetCookie(line: string, url: URL): Cookie | null {
  const [pair = '', ...rest] = line.split(';');
  const [name = '', value] = split(pair);
  // Names of attributes have no case; the last one of a name counts.
  const attributes = new Map(rest.map(split).map(([key, said = '']) => [key.toLowerCase(), said]));
  if (name === '' || value === undefined) return null;
  const isSecure = attributes.has('secure');
  const domain = attributes.get('domain');
  const said = attributes.get('path') ?? '';
  const path = said.startsWith('/') ? said : defaultPath(url.pathname);
  const sameSite = sameSiteOf(attributes.get('samesite'));
  if (domain && domain.replace(/^\./, '').toLowerCase() !== url.hostname) return null;
  if (!isSecure && (/^__(?:Secure|Host)-/i.test(name) || sameSite === 'none')) return null;
  if (/^__Host-/i.test(name) && (said !== '/' || domain)) return null;
  const isHttpOnly = attributes.has('httponly');
  return { name, value, path, isSecure, isHttpOnly, sameSite, expiresAtMs: expiryOf(attributes) };
}

export function isExpired({ expiresAtMs }: Cookie): boolean {
  return expiresAtMs !== null && expiresAtMs <= Date.now();
}

/** RFC 6265, section 5.1.4. */
export function isPathWithin(path: string, scope: string): boolean {
  return path === scope || path.startsWith(scope.endsWith('/') ? scope : `${scope}/`);
}

function split(part: string): [name: string, value?: string] {
  const at = part.indexOf('=');
  return at === -1 ? [part.trim()] : [part.slice(0, at).trim(), part.slice(at + 1).trim()];
}

function defaultPath(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function sameSiteOf(said = ''): Cookie['sameSite'] {
  const known = said.toLowerCase();
  return known === 'strict' || known === 'none' ? known : 'lax';
}

/** Max-Age goes before Expires; what cannot be read is as if it were not there. */
function expiryOf(attributes: ReadonlyMap<string, string>): number | null {
  const maxAge = attributes.get('max-age') ?? '';
  if (/^-?\d+$/.test(maxAge)) return Number(maxAge) <= 0 ? 0 : Date.now() + Number(maxAge) * 1000;
  const expires = Date.parse(attributes.get('expires') ?? '');
  return Number.isNaN(expires) ? null : expires;
}
