// The checks that one key alone cannot answer: references, clashes, URLs, files. They run on what could be read, even
// when other keys did not fit, so that every problem is told at once; what is missing here was reported before.

import { X509Certificate } from 'node:crypto';
import { fits } from '../schema/check.ts';
import { checkAuth } from './check-auth.ts';
import { checkListening } from './check-listening.ts';
import { checkRoutes } from './check-routes.ts';
import { checkDuration } from './quantities.ts';
import type { Path, Report } from './report.ts';
import { expectationOf, knownRemedy, ruleOf } from './rule.ts';
import { type ConfigFile, configSchema, type Draft } from './schema.ts';
import { type Sources, whyUnreadable } from './substitute.ts';

type DraftFile = Draft<ConfigFile>;

/** Checks a file as a whole. */
export function checkFile(draft: DraftFile, report: Report, sources: Sources): void {
  checkListening(draft, report);
  checkDatabase(draft, report, sources);
  checkDefaultPlan(draft, report);
  checkTopUpUrl(draft, report);
  checkAuth(draft, report);
  for (const [name, upstream] of Object.entries(draft.upstreams ?? {})) {
    checkUpstream(report, ['upstreams', name], upstream, sources);
  }
  checkRoutes(draft, report);
}

const databaseRule = ruleOf(configSchema.properties.database.properties.url);

function checkDatabase({ database }: DraftFile, report: Report, { env }: Sources): void {
  const path = ['database', 'url'];
  const fromEnv = env['DATABASE_URL'] ?? '';
  if (report.isWritten(path)) {
    if (database?.url !== undefined) checkDatabaseUrl(report, path, database.url);
  } else if (fromEnv !== '' && !(fits(databaseRule, fromEnv) && isDatabaseUrl(fromEnv))) {
    report.add([], 'The variable DATABASE_URL does not fit', `Set it to ${expectationOf(databaseRule)}`, null);
  }
}

function checkDatabaseUrl(report: Report, path: Path, url: string): void {
  if (!isDatabaseUrl(url)) {
    report.add(path, 'has a value that does not fit', `Write ${expectationOf(databaseRule)}`);
  } else if (hasPassword(url) && report.namesOf(path).length === 0) {
    report.warn(
      path,
      'holds a password in clear text',
      'Put the password in a variable, or leave the key to DATABASE_URL',
    );
  }
}

function isDatabaseUrl(url: string): boolean {
  if (url.startsWith('sqlite:')) return url !== 'sqlite::memory:';
  // A password with a bare slash or @ can parse too, with the rest of it as the host or the path.
  return URL.canParse(url) && !new URL(url).pathname.includes('@');
}

function hasPassword(url: string): boolean {
  if (url.startsWith('sqlite:')) return false;
  const { password, searchParams } = new URL(url);
  return password !== '' || searchParams.has('password');
}

function checkDefaultPlan({ plans, defaultPlan }: DraftFile, report: Report): void {
  if (!plans || defaultPlan === undefined) return;
  const known = [...new Set(['Basic', ...Object.keys(plans)])];
  if (known.includes(defaultPlan)) return;
  const path = ['defaultPlan'];
  report.add(path, `${report.say(path, defaultPlan)}, which is no plan`, knownRemedy(defaultPlan, known));
}

function checkTopUpUrl({ topUpUrl }: DraftFile, report: Report): void {
  if (topUpUrl === undefined) return;
  const url = URL.canParse(topUpUrl) ? new URL(topUpUrl) : null;
  if (url && url.username === '' && url.password === '') return;
  report.add(['topUpUrl'], 'is not a URL that callers can be sent', 'Write an https URL without user and password');
}

type DraftUpstream = NonNullable<NonNullable<DraftFile['upstreams']>[string]>;

function checkUpstream(report: Report, path: Path, upstream: DraftUpstream | undefined, sources: Sources): void {
  if (upstream === undefined) return;
  if (typeof upstream === 'string') {
    checkUpstreamUrl(report, path, upstream);
    return;
  }
  const target = upstream.targets?.[0];
  if (target !== undefined) checkUpstreamUrl(report, [...path, 'targets', 0], target);
  for (const key of ['connectTimeout', 'responseHeaderTimeout', 'readTimeout'] as const) {
    checkDuration(report, [...path, key], upstream[key]);
  }
  const tls = [...path, 'tls'];
  if (report.isWritten(tls) && target !== undefined && /^http:/i.test(target)) {
    report.warn(tls, 'has no effect on an http upstream', 'Write https in its URL, or remove tls');
  }
  if (upstream.tls?.insecureSkipVerify) {
    const remedy = 'Name the certificate to trust in tls.ca instead';
    report.warn([...tls, 'insecureSkipVerify'], 'accepts any certificate: never in production', remedy);
  }
  if (upstream.tls?.ca !== undefined) checkCertificates(report, [...tls, 'ca'], upstream.tls.ca, sources);
}

function checkUpstreamUrl(report: Report, path: Path, url: string): void {
  if (!URL.canParse(url)) {
    report.add(path, 'is not a URL', 'Write http://HOST:PORT or https://HOST/PATH, without user, query or fragment');
  }
}

function checkCertificates(report: Report, path: Path, file: string, { readFile }: Sources): void {
  const remedy = 'Name a PEM file that begins with BEGIN CERTIFICATE';
  try {
    new X509Certificate(readFile(file));
  } catch (error) {
    const isSystem = error instanceof Error && 'syscall' in error;
    report.add(
      path,
      isSystem ? `names a file that ${whyUnreadable(error)}` : 'names a file without certificates',
      remedy,
    );
  }
}
