// The checks of how people sign in: that each provider can be reached and told apart, that somebody may sign in, and
// that browsers find their way back.

import { checkHttps } from './check-urls.ts';
import { longestSessionMs, parseDuration, scopesOf } from './quantities.ts';
import type { Path, Report } from './report.ts';
import { knownRemedy } from './rule.ts';
import type { ConfigFile, Draft } from './schema.ts';

type DraftFile = Draft<ConfigFile>;
type DraftProvider = NonNullable<NonNullable<NonNullable<DraftFile['auth']>['providers']>[string]>;

/** What is known without being written. */
const presets = ['google', 'github', 'microsoft'] as const;

/** A secret that is shorter could be guessed from one cookie. */
const secretLengthMin = 32;

/** Checks providers, sessions, and who may sign in. */
export function checkSignIn(draft: DraftFile, report: Report): void {
  const { providers = {}, allow, admins, session } = draft.auth ?? {};
  const names = Object.keys(providers);
  for (const [name, provider] of Object.entries(providers)) {
    if (provider !== undefined) checkProvider(report, name, provider);
  }
  for (const key of ['maxAge', 'idleTimeout'] as const) checkLength(report, ['auth', 'session', key], session?.[key]);
  checkSecrets(report, session?.secret);
  checkAdmins(report, admins, names);
  warnOfSharedAdmins(draft, report);
  if (names.length === 0) return;
  checkNeeds(draft, report);
  if (!report.isWritten(['auth', 'allow']) || allow === undefined) return;
  const { emailDomains: domains = [], emails = [] } = allow;
  if (domains.length === 0 && emails.length === 0) {
    report.add(['auth', 'allow'], 'lets nobody in', 'Write emailDomains or emails; emailDomains: ["*"] lets anyone in');
  }
  if (domains.includes('*')) return;
  for (const [name, provider] of Object.entries(providers)) {
    if (provider !== undefined) warnOfUnvouched(report, name, provider);
  }
}

function checkNeeds({ server }: DraftFile, report: Report): void {
  if (server?.publicUrl === undefined && !report.isWritten(['server', 'publicUrl'])) {
    report.add(['server', 'publicUrl'], 'is missing', 'Write the URL that browsers and providers see');
  }
  if (!report.isWritten(['auth', 'allow'])) {
    const remedy = 'Write who may sign in: emailDomains or emails; emailDomains: ["*"] lets anyone in';
    report.add(['auth', 'allow'], 'is missing', remedy);
  }
  if (!report.isWritten(['auth', 'session', 'secret'])) {
    report.add(['auth', 'session', 'secret'], 'is missing', 'Write 32 random characters or more, from a variable');
  }
  const { publicUrl = '', trustedProxies = [] } = server ?? {};
  if (/^https:/i.test(publicUrl) && trustedProxies.length === 0) {
    const message = 'is https, and no proxy is trusted: everybody has the address of the proxy, and shares its limits';
    report.warn(['server', 'publicUrl'], message, 'Write the address of the proxy in front in server.trustedProxies');
  }
}

function checkSecrets(report: Report, secret: string | readonly (string | undefined)[] | undefined): void {
  const path = ['auth', 'session', 'secret'];
  const places: [Path, string | undefined][] =
    typeof secret === 'object' ? secret.map((text, i) => [[...path, i], text]) : [[path, secret]];
  for (const [place, text] of places) {
    if (text === undefined) continue;
    if (report.namesOf(place).length === 0) {
      report.warn(place, 'stands in clear text', 'Put the value in a variable or a file');
    }
    if (text.length < secretLengthMin) {
      report.warn(place, `is shorter than ${secretLengthMin} characters`, 'Write a longer one, at random');
    }
  }
}

function checkLength(report: Report, path: Path, duration: string | undefined): void {
  if (duration !== undefined && parseDuration(duration) > longestSessionMs) {
    report.add(path, 'is longer than 400 days, as long as browsers keep a cookie', 'Write a shorter time');
  }
}

function checkAdmins(report: Report, admins: readonly (string | undefined)[] | undefined, names: string[]): void {
  for (const [index, admin] of admins?.entries() ?? []) {
    const provider = admin?.split(':')[0];
    if (provider === undefined || names.includes(provider)) continue;
    const path = ['auth', 'admins', index];
    const named = report.namesOf(path).length > 0 ? 'a provider that' : `the provider ${provider}, which`;
    const remedy = names.length === 0 ? 'Name it in auth.providers' : knownRemedy(provider, names);
    report.add(path, `names ${named} is not in auth.providers`, remedy);
  }
}

const endpoints = ['authorizationUrl', 'tokenUrl', 'userinfoUrl'] as const;

/** On an origin that is shared with upstreams, their scripts ask with the session of whoever looks at them. */
function warnOfSharedAdmins({ auth, server }: DraftFile, report: Report): void {
  if ((auth?.admins ?? []).length === 0) return;
  const { publicUrl, portalUrl } = server ?? {};
  if (report.isWritten(['server', 'portalUrl']) && portalUrl !== publicUrl) return;
  const message = 'share an origin with the upstreams, whose scripts can do there what operators may';
  report.warn(['auth', 'admins'], message, 'Give the pages of the gateway a host of their own in server.portalUrl');
}

/** What each kind of provider would ignore. */
const uselessWith = {
  google: ['tenant', 'issuer', ...endpoints, 'map'],
  microsoft: ['issuer', ...endpoints, 'map'],
  // GitHub's answers have one form, on servers of one's own too, and say themselves which addresses are verified.
  github: ['tenant', 'issuer', 'map', 'trustEmail'],
  openid: ['tenant', ...endpoints, 'map'],
  oauth2: ['tenant'],
} as const;

function checkProvider(report: Report, name: string, provider: DraftProvider): void {
  const path = ['auth', 'providers', name];
  const isWritten = (key: string) => report.isWritten([...path, key]);
  for (const key of ['issuer', ...endpoints] as const) {
    const written = provider[key];
    if (written !== undefined) checkHttps(report, [...path, key], written);
  }
  if (provider.clientSecret !== undefined && report.namesOf([...path, 'clientSecret']).length === 0) {
    report.warn([...path, 'clientSecret'], 'stands in clear text', 'Put the value in a variable or a file');
  }
  const preset = presets.find((known) => known === name);
  const kind = preset ?? (isWritten('issuer') ? 'openid' : 'oauth2');
  for (const key of uselessWith[kind]) {
    if (!isWritten(key)) continue;
    const message =
      preset === undefined ? 'stands beside issuer, which has no use for it' : `is of no use with ${preset}`;
    if (key === 'tenant') report.add([...path, key], 'is of use with microsoft alone', 'Remove it');
    else report.add([...path, key], message, preset === undefined ? 'Remove one of the two' : 'Remove it');
  }
  if (kind === 'microsoft' && !isWritten('tenant')) {
    report.add([...path, 'tenant'], 'is missing', 'Write the tenant whose people sign in, or common');
  }
  if (kind === 'oauth2' || kind === 'github') checkEndpoints(report, path, kind);
  else checkScope(report, [...path, 'scope'], provider.scope);
}

function checkEndpoints(report: Report, path: Path, kind: 'oauth2' | 'github'): void {
  const first = endpoints.find((key) => report.isWritten([...path, key]));
  if (first === undefined) {
    if (kind === 'oauth2') report.add(path, 'says nowhere to sign in', `Write issuer, or ${endpoints.join(', ')}`);
    return;
  }
  for (const key of endpoints) {
    if (!report.isWritten([...path, key])) report.add([...path, key], 'is missing', `Write it beside ${first}`);
  }
}

type DraftScope = string | readonly (string | undefined)[];

function checkScope(report: Report, path: Path, scope: DraftScope | undefined): void {
  if (scope === undefined || scopesOf(scope).includes('openid')) return;
  report.add(path, 'lacks openid, without which nobody says who has signed in', 'Add openid');
}

/** Where addresses decide who may sign in, and the provider vouches for none. */
function warnOfUnvouched(report: Report, name: string, provider: DraftProvider): void {
  const path = ['auth', 'providers', name];
  const isPlain = name !== 'github' && report.isWritten([...path, 'userinfoUrl']);
  if (!isPlain || provider.trustEmail === true || report.isWritten([...path, 'map', 'emailVerified'])) return;
  const message = 'may vouch for no address, and then nobody can sign in with it';
  report.warn(path, message, 'Write map.emailVerified, or trustEmail if its addresses are verified');
}
