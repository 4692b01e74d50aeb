// Pure: IP addresses, ranges of them, and origins, as gateway.yaml writes them.

import { isIP } from 'node:net';

/** All addresses that begin with the same `prefix` bits as `address`. */
export interface AddressRange {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Reads an address such as `10.0.0.7`, or a range such as `10.0.0.0/8`; null when it is neither. */
export function parseRange(text: string): AddressRange | null {
  const [address = '', prefixText, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || address.includes('%') || more.length > 0) return null;
  const bits = version === 4 ? 32 : 128;
  const prefix = prefixText === undefined ? bits : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : bits + 1;
  return prefix > bits ? null : { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** The one spelling that browsers send of an origin, or null when the text is no origin, whatever its spelling. */
export function spellOrigin(text: string): string | null {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^\s*@]+$/i.test(text) || !URL.canParse(text)) return null;
  const { protocol, host, pathname, search, hash } = new URL(text);
  const isAlone = (pathname === '' || pathname === '/') && search === '' && hash === '';
  // Not `URL.origin`, which is "null" for the scheme of an app such as capacitor://localhost.
  return host !== '' && isAlone ? `${protocol}//${host}` : null;
}
