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
  const seen = new Map<string, number>();
  for (const [index, provider] of auth?.bearer?.entries() ?? []) {
    if (provider !== undefined) checkProvider(report, ['auth', 'bearer', index], provider, seen);
  }
  const hasBearer = report.isWritten(['auth', 'bearer']);
  for (const [index, route] of routes?.entries() ?? []) {
    if (route !== undefined) checkRoute(report, ['routes', index], route, hasBearer);
  }
}

type DraftProvider = NonNullable<NonNullable<NonNullable<DraftFile['auth']>['bearer']>[number]>;

const ofIssuer = ['issuer', 'algorithms', 'leeway', 'requireType'] as const;
const ofIntrospection = ['introspection', 'clientId', 'clientSecret', 'clients'] as const;

/** `seen`: where each issuer, and `introspection`, was named before. */
function checkProvider(report: Report, path: Path, provider: DraftProvider, seen: Map<string, number>): void {
  const isWritten = (key: string) => report.isWritten([...path, key]);
  checkDuration(report, [...path, 'leeway'], provider.leeway);
  if (!isWritten('issuer') && !isWritten('introspection')) {
    report.add(path, 'names nobody', 'Write issuer, for JWTs, or introspection, for other tokens');
    return;
  }
  const isAsked = isWritten('introspection');
  for (const key of isAsked ? ofIssuer : ofIntrospection) {
    if (!isWritten(key)) continue;
    const beside = isAsked ? 'introspection' : 'issuer';
    report.add([...path, key], `stands beside ${beside}, which has no use for it`, 'Remove one of the two');
  }
  if (isAsked) checkIntrospection(report, path, provider, isWritten);
  else if (!isWritten('audience')) {
    report.add([...path, 'audience'], 'is missing', 'Write what the tokens for your API name in aud');
  }
  const url = isAsked ? provider.introspection : provider.issuer;
  if (url !== undefined) checkUrl(report, [...path, isAsked ? 'introspection' : 'issuer'], url);
  const name = isAsked ? 'introspection' : provider.issuer;
  if (name === undefined) return;
  const other = seen.get(name);
  seen.set(name, other ?? Number(path.at(-1)));
  if (other === undefined) return;
  const message = isAsked ? `stands in auth.bearer[${other}] too` : `is the issuer of auth.bearer[${other}] too`;
  const remedy = isAsked ? 'Keep one: a token does not tell whom to ask' : 'Keep one of the two; audience takes a list';
  report.add([...path, isAsked ? 'introspection' : 'issuer'], message, remedy);
}

function checkIntrospection(
  report: Report,
  path: Path,
  { clientSecret }: DraftProvider,
  isWritten: (key: string) => boolean,
): void {
  for (const key of ['clientId', 'clientSecret']) {
    if (!isWritten(key)) report.add([...path, key], 'is missing', 'Write the client that may ask about tokens');
  }
  if (!isWritten('audience') && !isWritten('clients')) {
    const message = 'takes the tokens of every client for every API of the provider';
    report.add([...path, 'introspection'], message, 'Write audience or clients');
  }
  if (clientSecret !== undefined && report.namesOf([...path, 'clientSecret']).length === 0) {
    report.warn([...path, 'clientSecret'], 'stands in clear text', 'Put the value in a variable or a file');
  }
}

function checkUrl(report: Report, path: Path, url: string): void {
  if (!URL.canParse(url)) report.add(path, 'is not a URL', 'Write an https URL');
  else if (/^http:/i.test(url) && !isLoopback(new URL(url).hostname)) {
    const message = 'is not https: whoever can change what it answers can be anybody';
    report.warn(path, message, 'Write an https URL');
  }
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
