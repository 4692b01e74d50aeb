// The checks of `auth`, and of what routes want of it.

import { checkHeaderName } from './check-routes.ts';
import { checkSignIn } from './check-sign-in.ts';
import { checkHttps } from './check-urls.ts';
import { checkDuration, listOf } from './quantities.ts';
import type { Path, Report } from './report.ts';
import type { ConfigFile, Draft } from './schema.ts';

type DraftFile = Draft<ConfigFile>;

/** Checks how callers are identified. */
export function checkAuth(draft: DraftFile, report: Report): void {
  const { auth, routes } = draft;
  for (const [index, name] of auth?.apiKeys?.headers?.entries() ?? []) {
    checkHeaderName(report, ['auth', 'apiKeys', 'headers', index], name);
  }
  const seen = new Map<string, number>();
  for (const [index, provider] of auth?.bearer?.entries() ?? []) {
    if (provider !== undefined) checkProvider(report, ['auth', 'bearer', index], provider, seen);
  }
  checkAdminTokens(draft, report);
  checkAudiences(draft, report);
  checkSignIn(draft, report);
  const has = {
    bearer: report.isWritten(['auth', 'bearer']),
    session: hasProviders(draft, report),
  };
  for (const [index, route] of routes?.entries() ?? []) {
    if (route !== undefined) checkRoute(report, ['routes', index], route, has);
  }
}

/** Those that could not be read count: enough is said about them. */
function hasProviders({ auth }: DraftFile, report: Report): boolean {
  if (auth?.providers === undefined) return report.isWritten(['auth', 'providers']);
  return Object.keys(auth.providers).length > 0;
}

/** What is shorter could be guessed. */
const adminTokenLengthMin = 32;

function checkAdminTokens({ auth }: DraftFile, report: Report): void {
  const tokens = auth?.adminTokens ?? [];
  for (const [index, { name, token } = {}] of tokens.entries()) {
    const path = ['auth', 'adminTokens', index];
    const isEarlier = (key: 'name' | 'token', value: string | undefined) =>
      value !== undefined && tokens.findIndex((other) => other?.[key] === value) < index;
    if (isEarlier('name', name)) report.add([...path, 'name'], 'stands in the list already', 'Give it another name');
    if (isEarlier('token', token)) report.add([...path, 'token'], 'stands in the list already', 'Make another one');
    if (token === undefined) continue;
    if (token.length < adminTokenLengthMin) {
      const remedy = `Write ${adminTokenLengthMin} random characters or more, from a variable`;
      report.add([...path, 'token'], `is shorter than ${adminTokenLengthMin} characters`, remedy);
    }
    if (report.namesOf([...path, 'token']).length === 0) {
      report.warn([...path, 'token'], 'stands in clear text', 'Put the value in a variable or a file');
    }
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
  if (url !== undefined) checkHttps(report, [...path, isAsked ? 'introspection' : 'issuer'], url);
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

/** The audience of an ID token is the client that signed in. */
function checkAudiences({ auth }: DraftFile, report: Report): void {
  const clients = new Map(Object.entries(auth?.providers ?? {}).map(([name, provider]) => [provider?.clientId, name]));
  for (const [index, provider] of auth?.bearer?.entries() ?? []) {
    if (provider?.issuer === undefined) continue;
    const { audience } = provider;
    const audiences = typeof audience === 'object' ? audience.filter((each) => each !== undefined) : listOf(audience);
    const name = audiences.map((each) => clients.get(each)).find((found) => found !== undefined);
    if (name === undefined) continue;
    const message = `is the client of auth.providers.${name}: ID tokens have it, and they are no access tokens`;
    report.add(['auth', 'bearer', index, 'audience'], message, 'Write what the access tokens for your API name in aud');
  }
}

type DraftRoute = NonNullable<NonNullable<DraftFile['routes']>[number]>;

type Has = Readonly<Record<'bearer' | 'session', boolean>>;

function checkRoute(
  report: Report,
  path: Path,
  { auth, scopes }: DraftRoute,
  { bearer: hasBearer, session }: Has,
): void {
  const listed = Array.isArray(auth) ? auth : null;
  if (!session && listed?.includes('session') && report.isWritten([...path, 'auth'])) {
    const remedy = 'Name whom people sign in with in auth.providers, or remove session';
    report.add([...path, 'auth'], 'lets in sessions of nobody', remedy);
  }
  if (!hasBearer && listed?.includes('bearer') && report.isWritten([...path, 'auth'])) {
    report.add([...path, 'auth'], 'lets in tokens of nobody', 'Name their issuer in auth.bearer, or remove bearer');
  }
  if (scopes === undefined || !report.isWritten([...path, 'scopes'])) return;
  if (!hasBearer || (listed !== null && !listed.includes('bearer')) || auth === 'none') {
    const remedy = 'Name an issuer in auth.bearer and let bearer in, or remove scopes';
    report.add([...path, 'scopes'], 'are of tokens, and this route takes none', remedy);
  }
}
