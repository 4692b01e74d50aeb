// Which route a call takes: the routes compiled once, and a pure function from method and request target to a route or
// a refusal. A path is matched as it was sent and in a loose reading, as a careless upstream might read it; where the
// two lead to different routes the call is refused, so that no cheap way leads to a dear route. A path of plain
// lower-case segments has one reading only and takes the fast lane.

import type { Route } from '../config/config.ts';
import { decodePath, isPlainPath, looseReadings } from './reading.ts';

/** What a target leads to. `reserved` are the gateway's own paths; `allow` is the value for the `Allow` field of a 405. */
export type Match =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly allow: string | null }
  | { readonly kind: 'reserved' };

export type RefusalCode = 'TG_ROUTE_NOT_FOUND' | 'TG_METHOD_NOT_ALLOWED' | 'TG_PATH_AMBIGUOUS' | 'TG_REQUEST_MALFORMED';

/** Finds the route of a call. `target` is the request target as sent, query included. Never throws. */
export type Matcher = (method: string, target: string) => Match;

/** The prefix of the gateway's own paths. */
export const reservedPrefix = '/_tollgate';

/** The routes of one path, by method. */
interface MethodTable {
  /** The paths, as configured, of the routes in here: one, or more where the loose reading makes them one. */
  readonly paths: readonly string[];
  readonly byMethod: ReadonlyMap<string, Match>;
  readonly otherwise: Match;
}

/** One path: `whole` answers for the path itself, `below` for what is under it (null when all its routes are exact). */
interface Site {
  readonly whole: MethodTable;
  readonly below: MethodTable | null;
}

interface SiteMap {
  readonly sites: ReadonlyMap<string, Site>;
  /** Length of the longest path: no longer prefix of a target is looked up, so that the cost of a lookup is bounded. */
  readonly longest: number;
}

const notFound = refuse('TG_ROUTE_NOT_FOUND');
const ambiguous = refuse('TG_PATH_AMBIGUOUS');
const malformed = refuse('TG_REQUEST_MALFORMED');
const reserved: Match = { kind: 'reserved' };

/** Compiles routes into a matcher: the longest path decides, alone; then the method, then the route without methods. */
export function compileMatcher(routes: readonly Route[]): Matcher {
  const strict = compileSites(routes, (path) => path);
  const loose = compileSites(routes, readLoosely);
  // With a route such as /V1, a plain path has a second reading after all.
  const hasFastLane = routes.every((route) => isPlainPath(route.path));

  return (method, target) => {
    const query = target.indexOf('?');
    const path = query === -1 ? target : target.slice(0, query);
    if (isReserved(path)) return reserved;
    if (hasFastLane && isPlainPath(path)) return selectRoute(findTable(strict, path), method);
    return matchCarefully(strict, loose, method, path);
  };
}

/** The slow lane: every reading has to lead to where the path as sent leads. */
function matchCarefully(strict: SiteMap, loose: SiteMap, method: string, path: string): Match {
  const decoded = decodePath(path);
  if (decoded.kind !== 'decoded') return decoded.kind === 'malformed' ? malformed : ambiguous;
  const table = findTable(strict, path);
  for (const reading of looseReadings(decoded.text)) {
    if (isReserved(reading)) return ambiguous;
    // Where the path as sent leads nowhere nothing is forwarded, so the other reading does not matter.
    if (table !== null && !isSamePlace(table, findTable(loose, reading))) return ambiguous;
  }
  return selectRoute(table, method);
}

/** A route's own path in the loose reading. The configuration has refused paths that cannot be decoded. */
function readLoosely(path: string): string {
  const decoded = decodePath(path);
  return (decoded.kind === 'decoded' ? looseReadings(decoded.text)[0] : undefined) ?? path;
}

function isSamePlace(strict: MethodTable, loose: MethodTable | null): boolean {
  return loose !== null && strict.paths.every((path) => loose.paths.includes(path));
}

function selectRoute(table: MethodTable | null, method: string): Match {
  if (table === null) return notFound;
  return table.byMethod.get(method) ?? table.otherwise;
}

/** The table of the longest configured path that is the path itself or a prefix of it on a segment boundary. */
function findTable({ sites, longest }: SiteMap, path: string): MethodTable | null {
  const site = sites.get(path);
  if (site !== undefined) return site.whole;
  for (let end = path.lastIndexOf('/', longest); end > 0; end = path.lastIndexOf('/', end - 1)) {
    const below = sites.get(path.slice(0, end))?.below;
    if (below) return below;
  }
  return sites.get('/')?.below ?? null;
}

function compileSites(routes: readonly Route[], read: (path: string) => string): SiteMap {
  const groups = new Map<string, Route[]>();
  for (const route of routes) {
    const path = read(route.path);
    const group = groups.get(path);
    if (group === undefined) groups.set(path, [route]);
    else group.push(route);
  }
  const sites = new Map<string, Site>();
  let longest = 0;
  for (const [path, group] of groups) {
    const exact = group.filter((route) => route.exact);
    const prefix = group.filter((route) => !route.exact);
    sites.set(path, {
      whole: compileTable([...exact, ...prefix]),
      below: prefix.length === 0 ? null : compileTable(prefix),
    });
    longest = Math.max(longest, path.length);
  }
  return { sites, longest };
}

/** Of several routes for one method the first wins, so exact ones are given first. */
function compileTable(routes: readonly Route[]): MethodTable {
  const byMethod = new Map<string, Match>();
  let otherwise: Match | null = null;
  for (const route of routes) {
    const match: Match = { kind: 'route', route };
    if (route.methods === null) otherwise ??= match;
    for (const method of route.methods ?? []) {
      if (!byMethod.has(method)) byMethod.set(method, match);
    }
  }
  const get = byMethod.get('GET');
  if (get !== undefined && !byMethod.has('HEAD')) byMethod.set('HEAD', get);
  const paths = [...new Set(routes.map((route) => route.path))];
  return {
    paths,
    byMethod,
    otherwise: otherwise ?? refuse('TG_METHOD_NOT_ALLOWED', [...byMethod.keys()].sort().join(', ')),
  };
}

/** Whether a path is one of the gateway's own, as it was sent. */
export function isReserved(path: string): boolean {
  return (
    path.startsWith(reservedPrefix) && (path.length === reservedPrefix.length || path[reservedPrefix.length] === '/')
  );
}

function refuse(code: RefusalCode, allow: string | null = null): Match {
  return { kind: 'refused', code, allow };
}
