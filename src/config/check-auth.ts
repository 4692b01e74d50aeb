// The checks of `auth`, and of what routes want of it.

import { checkHeaderName } from './check-routes.ts';
import { checkDuration } from './quantities.ts';
import type { Path, Report } from './report.ts';
import type { ConfigFile, Draft } from './schema.ts';

type DraftFile = Draft<ConfigFile>;

/** Checks how callers are identified. */
export function checkAuth({ auth, routes }: DraftFile, report: Report): void {
  for (const [index, name] of auth?.apiKeys?.headers?.entries() ?? []) {
    checkHeaderName(report, ['auth', 'apiKeys', 'headers', index], name);
  }
  const issuers = new Map<string, number>();
  for (const [index, bearer] of auth?.bearer?.entries() ?? []) {
    const path: Path = ['auth', 'bearer', index];
    checkDuration(report, [...path, 'leeway'], bearer?.leeway);
    if (bearer?.issuer !== undefined) checkIssuer(report, [...path, 'issuer'], bearer.issuer, issuers, index);
  }
  const hasBearer = report.isWritten(['auth', 'bearer']);
  for (const [index, route] of routes?.entries() ?? []) {
    if (route !== undefined) checkRoute(report, ['routes', index], route, hasBearer);
  }
}

function checkIssuer(report: Report, path: Path, issuer: string, seen: Map<string, number>, index: number): void {
  const other = seen.get(issuer);
  if (!URL.canParse(issuer)) {
    report.add(path, 'is not a URL', 'Write the issuer exactly as its tokens name it');
  } else if (other !== undefined) {
    report.add(path, `is the issuer of auth.bearer[${other}] too`, 'Keep one of the two; audience takes a list');
  } else if (/^http:/i.test(issuer) && !isLoopback(new URL(issuer).hostname)) {
    report.warn(path, 'is not https: whoever can change its answers can make tokens', 'Write an https URL');
  }
  if (other === undefined) seen.set(issuer, index);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}

type DraftRoute = NonNullable<NonNullable<DraftFile['routes']>[number]>;

function checkRoute(report: Report, path: Path, { auth, scopes }: DraftRoute, hasBearer: boolean): void {
  const listed = Array.isArray(auth) ? auth : null;
  if (!hasBearer && listed?.includes('bearer') && report.isWritten([...path, 'auth'])) {
    report.add([...path, 'auth'], 'lets in tokens of nobody', 'Name their issuer in auth.bearer, or remove bearer');
  }
  if (scopes === undefined || !report.isWritten([...path, 'scopes'])) return;
  if (!hasBearer || (listed !== null && !listed.includes('bearer')) || auth === 'none') {
    const remedy = 'Name an issuer in auth.bearer and let bearer in, or remove scopes';
    report.add([...path, 'scopes'], 'are of tokens, and this route takes none', remedy);
  }
}
