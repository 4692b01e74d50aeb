// Where a call goes and how the way back is written: pure. The path travels byte for byte: prefixes are exchanged as
// raw text and nothing is parsed or encoded anew.

import type { Route, Upstream } from '../config/config.ts';
import type { Matcher, RefusalCode } from './matching.ts';

/**
 * The request target for the upstream: its base path, then the path as sent (with the matched prefix replaced where
 * the route says so), then the query. `target` is the client's request target; the route has matched it.
 */
export function targetOf(route: Route, upstream: Upstream, target: string): string {
  const base = basePathOf(upstream);
  if (route.rewritePrefix === null) return base === '' ? target : base + target;
  const { from, to } = prefixesOf(route, route.rewritePrefix);
  return rooted(base + to + target.slice(from.length));
}

/** Between the client and an upstream, as far as paths go. */
export interface Way {
  readonly route: Route;
  readonly upstream: Upstream;
  readonly prefix: string;
}

/**
 * A `Location` of the upstream as the client has to see it. Mapped: absolute URLs of the upstream's origin (or, with
 * `preserveHost`, of the host the client named) and absolute paths, where the route and the base path can be undone.
 * What is mapped begins with `prefix`, which a proxy in front takes away of paths (empty, or like `/gw`). Everything else,
 * relative references included, stays as it is.
 */
export function locationOf({ route, upstream, prefix }: Way, location: string, clientHost: string | null): string {
  const path = pathAtUpstream(upstream, location, clientHost);
  if (path === null) return location;
  const inner = withoutPrefix(path, basePathOf(upstream));
  if (inner === null) return location;
  if (route.rewritePrefix === null) return onOwnHost(prefix, inner);
  const { from, to } = prefixesOf(route, route.rewritePrefix);
  const rest = withoutPrefix(inner, to);
  if (rest === null || (route.exact && rest.startsWith('/'))) return location;
  return onOwnHost(prefix, from + rest);
}

/** What would happen to a call. */
export type Explanation =
  | { readonly kind: 'forwarded'; readonly route: Route; readonly url: string }
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly allow: string | null }
  | { readonly kind: 'reserved' };

/** Explains a call for `check --explain`: the route and the URL it is forwarded to, or the refusal. */
export function explain(
  match: Matcher,
  upstreams: Readonly<Record<string, Upstream>>,
  method: string,
  target: string,
): Explanation {
  const found = match(method, target);
  if (found.kind !== 'route') return found;
  const upstream = upstreams[found.route.upstream];
  if (upstream === undefined) throw new Error(`route ${found.route.name} names an unknown upstream`);
  const url = upstream.url.slice(0, upstream.url.length - basePathOf(upstream).length);
  return { kind: 'forwarded', route: found.route, url: url + targetOf(found.route, upstream, target) };
}

/** The base path of an upstream, '' or `/like/this`. */
function basePathOf(upstream: Upstream): string {
  // No slash can come sooner than after `http://` and a host of one character.
  const start = upstream.url.indexOf('/', 'http://x'.length);
  return start === -1 ? '' : upstream.url.slice(start);
}

/** Path, query and fragment of a location that points at the upstream, or null. */
function pathAtUpstream(upstream: Upstream, location: string, clientHost: string | null): string | null {
  if (location.startsWith('//')) {
    const scheme = upstream.url.slice(0, upstream.url.indexOf('//'));
    return pathAtUpstream(upstream, scheme + location, clientHost);
  }
  if (location.startsWith('/')) return location;
  const parts = /^(https?):\/\/([^/?#]*)(.*)$/i.exec(location);
  if (parts === null || !URL.canParse(location)) return null;
  const [, , authority = '', rest = ''] = parts;
  const isOwn = new URL(location).origin === new URL(upstream.url).origin;
  const isClients =
    upstream.preserveHost && clientHost !== null && authority.toLowerCase() === clientHost.toLowerCase();
  if (!isOwn && !isClients) return null;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Cuts a prefix on a segment boundary; null when the path is elsewhere. */
function withoutPrefix(path: string, prefix: string): string | null {
  if (prefix === '') return path;
  if (!path.startsWith(prefix)) return null;
  const rest = path.slice(prefix.length);
  return rest === '' || rest.startsWith('/') || rest.startsWith('?') || rest.startsWith('#') ? rest : null;
}

/** The prefix that a route takes away and the one it puts in its place. An exact route exchanges the whole path. */
function prefixesOf(route: Route, rewritePrefix: string): { from: string; to: string } {
  if (route.exact) return { from: route.path, to: rewritePrefix };
  return { from: withoutSlash(route.path), to: withoutSlash(rewritePrefix) };
}

function rooted(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/** A path that begins with two slashes, either way round, would be read as another host. */
function onOwnHost(prefix: string, path: string): string {
  return prefix === '' && /^\/[/\\]/.test(path) ? `/.${path}` : prefix + rooted(path);
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}
