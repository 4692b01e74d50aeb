// Where browsers find the gateway, and what that means for calls: pure, and found out once. What a proxy in front takes
// away of a path has to be put back where an upstream points at itself. And a page of an upstream that shares an origin
// with sign-in could act for whoever has signed in, so that the portal's host has no upstreams, or, where there is no such
// host, upstreams get no service workers.

import type { Server } from '../config/config.ts';

export interface Site {
  /** What the proxy in front takes away: empty, or like `/gw`. */
  readonly prefix: string;
  /** Whether a host, as a request names it, is the one that has no upstreams; null without such a host. */
  readonly isPortalHost: ((host: string) => boolean) | null;
  /** Whether pages of upstreams share their origin with those of sign-in. */
  readonly isShared: boolean;
}

/** What `server` says about it. */
export function siteOf({ publicPlace, portalPlace }: Server, hasSignIn: boolean): Site {
  const isApart = publicPlace !== null && portalPlace !== null && publicPlace.host !== portalPlace.host;
  return {
    prefix: publicPlace?.path ?? '',
    isPortalHost: isApart ? compileHost(portalPlace.host, publicPlace.host, portalPlace.isSecure) : null,
    isShared: hasSignIn && !isApart,
  };
}

/**
 * Ports are compared only where nothing else tells the two hosts apart: proxies in front leave them out, or name the one
 * that they listen on.
 */
function compileHost(portal: string, other: string, isSecure: boolean): (host: string) => boolean {
  const name = nameOf(portal);
  if (name !== nameOf(other)) return (host) => nameOf(host) === name;
  const port = portOf(portal, isSecure);
  return (host) => nameOf(host) === name && portOf(host, isSecure) === port;
}

/** Without its port, in lower case, and without the dot that ends a full name. */
function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
}

function portOf(host: string, isSecure: boolean): number {
  const digits = /:(\d+)$/.exec(host)?.[1];
  return digits === undefined ? (isSecure ? 443 : 80) : Number(digits);
}
