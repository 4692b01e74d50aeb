// Turns a file without problems into the frozen Config: durations into milliseconds, URLs and paths into one
// spelling, names of files into their content, and everything that may be left out into what it then means.

import { join } from 'node:path';
import type {
  BearerIssuer,
  Config,
  Cors,
  HeaderRules,
  IntrospectionEndpoint,
  Place,
  Route,
  Server,
  Upstream,
} from './config.ts';
import { upstreamSchema } from './forwarding.ts';
import { normaliseSignIn } from './normalise-sign-in.ts';
import { spellPath } from './paths.ts';
import { listOf, parseDuration, parseSize } from './quantities.ts';
import { defaultsOf, ruleOf } from './rule.ts';
import type { ConfigFile } from './schema.ts';
import type { Sources } from './substitute.ts';

/** The configuration of a file that has passed every check. */
export function normalise(file: ConfigFile, { env, readFile }: Sources): Config {
  const { database, dataDir } = file;
  const server = normaliseServer(file.server);
  const url = database.url ?? (env['DATABASE_URL'] || `sqlite:${join(dataDir, 'tollgate.db')}`);
  const upstreams = new Map(
    Object.entries(file.upstreams).map(([name, written]) => [name, normaliseUpstream(name, written, readFile)]),
  );
  return freezeDeeply<Config>({
    server,
    ops: file.ops,
    log: file.log,
    database: { ...database, url },
    dataDir,
    journal: file.journal,
    plans: nameless({ Basic: { startingCredits: 5000 }, ...file.plans }),
    defaultPlan: file.defaultPlan,
    topUpUrl: file.topUpUrl === undefined ? null : new URL(file.topUpUrl).href,
    auth: {
      apiKeys: { headers: [...new Set(file.auth.apiKeys.headers.map((name) => name.toLowerCase()))] },
      adminTokens: file.auth.adminTokens,
      bearer: file.auth.bearer.flatMap(normaliseIssuer),
      introspection: file.auth.bearer.map(normaliseIntrospection).find((endpoint) => endpoint !== null) ?? null,
      signIn: normaliseSignIn(file.auth),
    },
    cors: file.cors === undefined ? null : normaliseCors(file.cors),
    upstreams: nameless(Object.fromEntries(upstreams)),
    routes: file.routes.map((route) => normaliseRoute(route, server, upstreams.get(route.upstream))),
  });
}

function normaliseServer(written: ConfigFile['server']): Server {
  const { maxBodySize, drainDelay, shutdownTimeout, publicUrl, portalUrl, ...server } = written;
  const publicPlace = publicUrl === undefined ? null : placeAt(publicUrl);
  return {
    ...server,
    publicPlace,
    portalPlace: portalUrl === undefined ? publicPlace : placeAt(portalUrl),
    maxBodySize: maxBodySize === undefined ? null : parseSize(maxBodySize),
    drainDelay: parseDuration(drainDelay),
    shutdownTimeout: parseDuration(shutdownTimeout),
  };
}

/** A place that browsers see, by its URL. */
export function placeAt(url: string): Place {
  const { origin, host, protocol, pathname } = new URL(url);
  return { origin, host, path: pathname.replace(/\/+$/, ''), isSecure: protocol === 'https:' };
}

function normaliseCors({ origins, headers, maxAge }: NonNullable<ConfigFile['cors']>): Cors {
  return {
    origins: origins.includes('*') ? '*' : [...new Set(origins)],
    headers: [...new Set(headers.map((name) => name.toLowerCase()))],
    maxAgeSeconds: Math.floor(parseDuration(maxAge) / 1000),
  };
}

type FileUpstream = Exclude<ConfigFile['upstreams'][string], string>;

/** The settings of an upstream that is written as a URL alone. */
const upstreamDefaults = defaultsOf(ruleOf(upstreamSchema)) as Omit<FileUpstream, 'targets'>;

function normaliseUpstream(name: string, written: string | FileUpstream, readFile: Sources['readFile']): Upstream {
  const upstream = typeof written === 'string' ? { ...upstreamDefaults, targets: [written] } : written;
  const { ca, insecureSkipVerify } = upstream.tls;
  return {
    name,
    url: new URL(upstream.targets[0] ?? '').href.replace(/\/+$/, ''),
    preserveHost: upstream.preserveHost,
    connectTimeout: parseDuration(upstream.connectTimeout),
    responseHeaderTimeout: parseDuration(upstream.responseHeaderTimeout),
    readTimeout: parseDuration(upstream.readTimeout),
    tls: { ca: ca === undefined ? null : readFile(ca), insecureSkipVerify },
  };
}

type FileProvider = ConfigFile['auth']['bearer'][number];

function normaliseIssuer({ issuer, audience, algorithms, leeway, requireType }: FileProvider): BearerIssuer[] {
  if (issuer === undefined) return [];
  return [{ issuer, audience: listOf(audience), algorithms, leeway: parseDuration(leeway), requireType }];
}

function normaliseIntrospection(provider: FileProvider): IntrospectionEndpoint | null {
  const { introspection: url, clientId = '', clientSecret = '', audience, clients } = provider;
  return url === undefined
    ? null
    : { url, clientId, clientSecret, audience: listOf(audience), clients: listOf(clients) };
}

type FileRoute = ConfigFile['routes'][number];

function normaliseRoute(route: FileRoute, server: Server, upstream: Upstream | undefined): Route {
  const path = spellPath(route.path, route.exact);
  const isFree = route.auth === 'none';
  return {
    name: route.name ?? routeName(path, route.methods),
    path,
    exact: route.exact,
    methods: route.methods ? [...new Set(route.methods.map((method) => method.toUpperCase()))] : null,
    upstream: route.upstream,
    rewritePrefix: route.rewritePrefix === undefined ? null : spellPath(route.rewritePrefix, route.exact),
    cost: isFree ? 0 : route.cost,
    auth: route.auth === 'none' ? 'none' : [...new Set(route.auth)],
    scopes: [...new Set(route.scopes)],
    maxBodySize: route.maxBodySize === undefined ? server.maxBodySize : parseSize(route.maxBodySize),
    readTimeout: route.readTimeout === undefined ? (upstream?.readTimeout ?? 0) : parseDuration(route.readTimeout),
    headers: { request: normaliseRules(route.headers.request), response: normaliseRules(route.headers.response) },
  };
}

/** The label of a route without a name: `/v1/chat`, or `POST /v1/chat` when it lists methods. */
export function routeName(path: string, methods: readonly (string | undefined)[] | undefined): string {
  const listed = methods?.map((method) => method?.toUpperCase() ?? '') ?? [];
  return listed.length === 0 ? path : `${[...new Set(listed)].join(',')} ${path}`;
}

function normaliseRules({ set, remove }: FileRoute['headers']['request']): HeaderRules {
  const lower = Object.entries(set).map(([name, value]) => [name.toLowerCase(), value] as const);
  return { set: nameless(Object.fromEntries(lower)), remove: remove.map((name) => name.toLowerCase()) };
}

/** Records keyed by names that people choose have no prototype, so that no name meets `constructor`. */
function nameless<T>(record: Record<string, T>): Record<string, T> {
  return Object.assign(Object.create(null), record);
}

function freezeDeeply<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) freezeDeeply(part);
  }
  return value;
}
