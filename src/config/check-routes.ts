// The checks of `routes`: that each refers to an upstream, has a path with one reading, changes no field that the
// gateway answers for, and that no call is claimed by two of them.

import { METHODS } from 'node:http';
import { hopByHopFields } from './hop-by-hop.ts';
import { routeName } from './normalise.ts';
import { findPathFault, isReserved, looselyRead, reservedPrefix, spellPath } from './paths.ts';
import { checkDuration } from './quantities.ts';
import type { Path, Report } from './report.ts';
import { knownRemedy } from './rule.ts';
import type { ConfigFile, Draft } from './schema.ts';

type DraftRoute = Draft<ConfigFile['routes'][number]>;

/** Checks every route by itself, and all of them together. */
export function checkRoutes({ routes, upstreams }: Draft<ConfigFile>, report: Report): void {
  const claims: Claim[] = [];
  for (const [index, route] of routes?.entries() ?? []) {
    if (!route) continue;
    const path: Path = ['routes', index];
    checkUpstreamName(report, [...path, 'upstream'], route.upstream, upstreams);
    checkPath(report, [...path, 'path'], route.path, true);
    checkPath(report, [...path, 'rewritePrefix'], route.rewritePrefix, false);
    checkMethods(report, [...path, 'methods'], route.methods);
    checkHeaderRules(report, [...path, 'headers'], route.headers);
    checkDuration(report, [...path, 'readTimeout'], route.readTimeout);
    if (route.auth === 'none' && report.isWritten([...path, 'cost'])) {
      report.add([...path, 'cost'], 'stands beside auth: none, which is free', 'Remove one of the two');
    }
    checkClaim(report, path, claims, index, route);
  }
  checkNames(report, routes ?? []);
  warnOfSlashes(report, routes ?? []);
}

function checkUpstreamName(
  report: Report,
  path: Path,
  name: string | undefined,
  upstreams: Draft<ConfigFile>['upstreams'],
): void {
  if (name === undefined || !upstreams || Object.hasOwn(upstreams, name)) return;
  report.add(path, `${report.say(path, name)}, which is no upstream`, knownRemedy(name, Object.keys(upstreams)));
}

function checkPath(report: Report, key: Path, path: string | undefined, isMatched: boolean): void {
  if (path === undefined) return;
  const fault = findPathFault(path);
  if (fault) report.add(key, fault.message, fault.remedy);
  else if (isMatched && isReserved(path)) {
    report.add(key, `lies under ${reservedPrefix}, which is the gateway's own`, 'Choose another path');
  }
}

function checkMethods(report: Report, path: Path, methods: DraftRoute['methods']): void {
  for (const [index, method] of methods?.entries() ?? []) {
    const known = METHODS.filter((name) => name !== 'CONNECT');
    if (method === undefined || known.includes(method.toUpperCase())) continue;
    const step = [...path, index];
    report.add(step, `${report.say(step, method)}, which is no method here`, knownRemedy(method, known));
  }
}

/** Fields that the gateway itself answers for. */
const ownFields = new Set([...hopByHopFields, 'content-length', 'expect', 'host']);

/** Refuses the name of a field that no rule may touch. */
export function checkHeaderName(report: Report, path: Path, name: string | undefined): void {
  const field = name?.toLowerCase().replaceAll('_', '-') ?? '';
  if (!ownFields.has(field) && !/^x-(tollgate|credits)-/.test(field)) return;
  report.add(path, "names a field that is the gateway's own", 'Leave it to the gateway');
}

function checkHeaderRules(report: Report, path: Path, headers: DraftRoute['headers']): void {
  for (const direction of ['request', 'response'] as const) {
    const rules = headers?.[direction];
    const seen = new Set<string>();
    const checkOnce = (step: Path, name: string | undefined): void => {
      if (name === undefined) return;
      checkHeaderName(report, step, name);
      if (seen.has(name.toLowerCase()))
        report.add(step, 'names a field that has a rule already', 'Keep one of the two');
      seen.add(name.toLowerCase());
    };
    for (const name of Object.keys(rules?.set ?? {})) {
      const step = [...path, direction, 'set', name];
      checkOnce(step, name);
      if (direction === 'request') warnOfCredential(report, step, name);
    }
    for (const [index, name] of rules?.remove?.entries() ?? []) checkOnce([...path, direction, 'remove', index], name);
  }
}

function warnOfCredential(report: Report, path: Path, name: string): void {
  if (report.namesOf(path).length > 0 || !/authorization|cookie|key|secret|token/i.test(name)) return;
  report.warn(path, 'seems to hold a credential in clear text', 'Put the value in a variable or a file');
}

/** What a route claims: a path, and methods, or all of them. */
interface Claim {
  readonly index: number;
  readonly path: string;
  readonly loose: string;
  readonly methods: readonly string[] | null;
}

function checkClaim(report: Report, key: Path, claims: Claim[], index: number, route: DraftRoute): void {
  const areMethodsUnread = route.methods === undefined && report.isWritten([...key, 'methods']);
  if (route.path === undefined || areMethodsUnread) return;
  const path = spellPath(route.path, route.exact);
  const loose = looselyRead(path);
  const methods = route.methods ? claimedMethods(route.methods) : null;
  const step = [...key, 'path'];
  for (const other of claims) {
    if (other.path !== path) {
      if (other.loose !== loose) continue;
      const message = `differs from the path of routes[${other.index}] in case or escapes alone`;
      report.add(step, message, 'Write one of the two: calls that both could take are refused');
    } else {
      const shared = methods?.find((method) => other.methods?.includes(method));
      if (shared === undefined && (methods !== null || other.methods !== null)) continue;
      const message = `is the path of routes[${other.index}] too, with ${shared ?? 'all methods'}`;
      report.add(step, message, 'Remove one of the two, or give them different methods');
    }
    break;
  }
  claims.push({ index, path, loose, methods });
}

function claimedMethods(methods: readonly (string | undefined)[]): string[] {
  const claimed = methods.map((method) => method?.toUpperCase() ?? '');
  return claimed.includes('GET') ? [...claimed, 'HEAD'] : claimed;
}

/** Labels are unique. A clash is told at the name that somebody chose: twins without one are told for their path. */
function checkNames(report: Report, routes: readonly (DraftRoute | undefined)[]): void {
  const holders = new Map<string, number>();
  for (const [index, route] of routes.entries()) {
    if (route?.path !== undefined && !report.isWritten(['routes', index, 'name'])) {
      const name = routeName(spellPath(route.path, route.exact), route.methods);
      if (!holders.has(name)) holders.set(name, index);
    }
  }
  for (const [index, route] of routes.entries()) {
    if (route?.name === undefined) continue;
    const holder = holders.get(route.name);
    if (holder === undefined) holders.set(route.name, index);
    else report.add(['routes', index, 'name'], `is the name of routes[${holder}] too`, 'Choose another');
  }
}

/** A path with a slash at its end is another one here, and the same to many servers: then it is a cheap way to a dear route. */
function warnOfSlashes(report: Report, routes: readonly (DraftRoute | undefined)[]): void {
  for (const [index, route] of routes.entries()) {
    const { path = '/', exact } = route ?? {};
    if (exact !== true || path.endsWith('/')) continue;
    const [taker] = routes
      .filter((other) => isCovering(other, `${path}/`))
      .toSorted((a, b) => (b?.path?.length ?? 0) - (a?.path?.length ?? 0));
    if (taker === undefined || costOf(taker) >= costOf(route)) continue;
    const message = `matches the whole path alone: ${path}/ takes the route ${taker.path}, which costs less`;
    report.warn(['routes', index, 'exact'], message, `Add a route ${path}/ if the upstream takes the two for one`);
  }
}

function isCovering(route: DraftRoute | undefined, asked: string): boolean {
  const { path, exact } = route ?? {};
  if (path === undefined) return false;
  return exact === true ? path === asked : asked.startsWith(`${path.replace(/\/$/, '')}/`);
}

function costOf(route: DraftRoute | undefined): number {
  return route?.auth === 'none' ? 0 : (route?.cost ?? 1);
}
