// The checks of `server`, `ops` and `cors`: two listeners on two ports, proxies that are addresses, origins as browsers
// send them.

import { parseRange, spellOrigin } from './addresses.ts';
import { isExposed, isLoopback } from './check-urls.ts';
import { corsSchema, serverSchema } from './listening.ts';
import { findPathFault } from './paths.ts';
import { checkDuration } from './quantities.ts';
import type { Path, Report } from './report.ts';
import { expectationOf, ruleOf } from './rule.ts';
import type { ConfigFile, Draft } from './schema.ts';

type DraftFile = Draft<ConfigFile>;

/** Checks what clients, operators and browsers meet first. */
export function checkListening(draft: DraftFile, report: Report): void {
  const { server, cors } = draft;
  checkPorts(draft, report);
  checkPlaces(draft, report);
  checkDuration(report, ['server', 'drainDelay'], server?.drainDelay);
  checkDuration(report, ['server', 'shutdownTimeout'], server?.shutdownTimeout);
  for (const [index, range] of server?.trustedProxies?.entries() ?? []) {
    if (range !== undefined) checkProxy(report, ['server', 'trustedProxies', index], range);
  }
  for (const [index, origin] of cors?.origins?.entries() ?? []) {
    if (origin !== undefined) checkOrigin(report, ['cors', 'origins', index], origin, cors?.origins?.length ?? 0);
  }
  checkDuration(report, ['cors', 'maxAge'], cors?.maxAge);
  if (report.isWritten(['cors'])) checkBesideCors(draft, report);
}

function checkPorts({ server, ops }: DraftFile, report: Report): void {
  const port = server?.port;
  if (port === undefined || port === 0 || port !== ops?.port) return;
  const isEverywhere = [server?.host, ops.host].some((host) => host === '0.0.0.0' || host === '::');
  if (!isEverywhere && server?.host !== ops.host) return;
  const path = report.isWritten(['ops', 'port']) ? ['ops', 'port'] : ['server', 'port'];
  report.add(path, 'is the same for server and ops', 'Give the two listeners different ports');
}

/** The URLs that browsers see. */
function checkPlaces({ server }: DraftFile, report: Report): void {
  for (const key of ['publicUrl', 'portalUrl'] as const) {
    const url = server?.[key];
    const path = ['server', key];
    if (url === undefined) continue;
    const fault = URL.canParse(url) ? findPathFault(new URL(url).pathname) : noUrl;
    if (fault !== null) report.add(path, fault.message, fault.remedy);
    else if (isExposed(url)) {
      report.warn(path, 'is not https: sessions can be read on the way', 'Put TLS in front, and write the https URL');
    }
  }
  const { publicUrl, portalUrl } = server ?? {};
  const path = ['server', 'portalUrl'];
  if (portalUrl !== undefined && !report.isWritten(['server', 'publicUrl'])) {
    report.add(path, 'stands without publicUrl', 'Write publicUrl, where the upstreams are served');
  }
  if (portalUrl !== undefined && portalUrl !== publicUrl) checkHosts(report, path, urlOf(portalUrl), urlOf(publicUrl));
}

/** Browsers do not tell the ports of a host apart: its cookies are all of its servers'. */
function checkHosts(report: Report, path: Path, portal: URL | null, other: URL | null): void {
  if (portal === null || portal.hostname !== other?.hostname) return;
  if (portal.host !== other.host && isLoopback(portal.hostname)) {
    report.warn(
      path,
      'has the name of publicUrl: browsers share cookies between ports',
      'Write a host of another name',
    );
  } else {
    report.add(
      path,
      'has the host of publicUrl, where upstreams are served',
      'Write a host of another name, or remove it',
    );
  }
}

function urlOf(url: string | undefined): URL | null {
  return url !== undefined && URL.canParse(url) ? new URL(url) : null;
}

const noUrl = { message: 'is not a URL', remedy: 'Write an https URL' };

const proxyRule = ruleOf(serverSchema.properties.trustedProxies.items);

function checkProxy(report: Report, path: Path, text: string): void {
  const range = parseRange(text);
  if (range === null) {
    report.add(path, report.say(path, text), `Write ${expectationOf(proxyRule)}`);
  } else if (range.prefix === 0) {
    report.warn(
      path,
      'trusts everybody: any caller can claim any address',
      'Write the addresses of the proxies in front',
    );
  }
}

const originRule = ruleOf(corsSchema.properties.origins.items);

function checkOrigin(report: Report, path: Path, text: string, count: number): void {
  if (text === '*') {
    if (count > 1) report.add(path, 'stands beside other origins', 'Write "*" alone, or the others without it');
    return;
  }
  const spelled = spellOrigin(text);
  if (spelled === text) return;
  const canBeShown = spelled !== null && report.namesOf(path).length === 0;
  report.add(path, report.say(path, text), `Write ${canBeShown ? spelled : expectationOf(originRule)}`);
}

/** Fields of an answer that `cors` decides; what scripts may read besides is a route's to add. */
function isOfCors(name: string): boolean {
  const field = name.toLowerCase();
  return field.startsWith('access-control-') && field !== 'access-control-expose-headers';
}

/** What other sections say that `cors` makes void, or that makes `cors` void. */
function checkBesideCors({ auth, cors, routes }: DraftFile, report: Report): void {
  const allowed = new Set(cors?.headers?.map((name) => name?.toLowerCase()));
  const needed = auth?.apiKeys?.headers ?? [];
  const canSendKey = allowed.has('*') || needed.some((name) => name !== undefined && allowed.has(name.toLowerCase()));
  if (report.isWritten(['cors', 'headers']) && needed.length > 0 && !canSendKey) {
    const remedy = `Add ${needed.join(' or ')} if scripts may call more than public routes`;
    report.warn(['cors', 'headers'], 'has no field in which a script could send an API key', remedy);
  }
  for (const [index, route] of routes?.entries() ?? []) {
    const path: Path = ['routes', index, 'headers', 'response'];
    const { set = {}, remove = [] } = route?.headers?.response ?? {};
    const refuse = (step: Path) => report.add(step, 'names a field that cors answers for', 'Remove one of the two');
    for (const name of Object.keys(set)) if (isOfCors(name)) refuse([...path, 'set', name]);
    for (const [at, name] of remove.entries()) if (isOfCors(name ?? '')) refuse([...path, 'remove', at]);
  }
}
