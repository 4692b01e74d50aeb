// The door to the configuration: the text of gateway.yaml goes in, and out comes a checked, deeply frozen `Config`, or
// a `ConfigError` that holds every problem at once.

import { readFileSync } from 'node:fs';
import { checkFile } from './check.ts';
import { parseText } from './document.ts';
import { normalise } from './normalise.ts';
import { ConfigError, type Problem } from './problems.ts';
import { readNode } from './read.ts';
import { ruleOf } from './rule.ts';
import { type ConfigFile, configSchema, type Draft } from './schema.ts';
import { whyUnreadable } from './substitute.ts';

export { ConfigError, formatProblem, type Problem } from './problems.ts';

/** A place that browsers see. */
export interface Place {
  /** `https://api.example.com`, as browsers send it. */
  readonly origin: string;
  /** `api.example.com`, with the port unless it is that of the scheme. */
  readonly host: string;
  /** What the proxy in front takes away: empty, or like `/gw`. */
  readonly path: string;
  readonly isSecure: boolean;
}

/** Where clients connect. */
export interface Server {
  readonly host: string;
  readonly port: number;
  /** Processes that share the port. */
  readonly workers: number;
  /** Null when nobody has said. */
  readonly publicPlace: Place | null;
  /** Of sign-in and account; the public place where it has none of its own. */
  readonly portalPlace: Place | null;
  /** IP addresses, and ranges of them in CIDR notation. */
  readonly trustedProxies: readonly string[];
  /** Bytes of a request's body; null for no limit. Routes have it resolved. */
  readonly maxBodySize: number | null;
  readonly drainDelay: number;
  readonly shutdownTimeout: number;
}

/** Which scripts of browsers may call. */
export interface Cors {
  /** As browsers send them. */
  readonly origins: readonly string[] | '*';
  /** Names in lower case; `*` among them stands for any. */
  readonly headers: readonly string[];
  readonly maxAgeSeconds: number;
}

/** Changes to header fields: names in lower case. */
export interface HeaderRules {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

/** Where calls are forwarded to. Times in milliseconds. */
export interface Upstream {
  readonly name: string;
  /** Origin and base path, without a trailing slash. */
  readonly url: string;
  readonly preserveHost: boolean;
  readonly connectTimeout: number;
  readonly responseHeaderTimeout: number;
  /** Between two reads; 0 is no limit. */
  readonly readTimeout: number;
  /** `ca` is the PEM text, not the name of the file. */
  readonly tls: { readonly ca: string | null; readonly insecureSkipVerify: boolean };
}

/** What a caller may show: an API key, an access token, or the cookie of a session. */
export type CredentialKind = 'key' | 'bearer' | 'session';

/** What members of a userinfo document are called, with dots for members of members. */
export interface ClaimMap {
  readonly subject: string;
  readonly email: string;
  readonly emailVerified: string;
  readonly name: string;
  readonly picture: string;
}

interface Provider {
  /** Part of the redirect address. */
  readonly name: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** With blanks in between. */
  readonly scope: string;
  /** As identities name it. */
  readonly issuer: string;
}

/** A provider whose endpoints and keys are found by discovery. */
export interface OpenIdProvider extends Provider {
  readonly kind: 'openid';
  /** When an address counts: by `email_verified`, by Microsoft's `xms_edov`, or always. */
  readonly vouchedBy: 'claim' | 'edov' | 'provider';
  /** At Microsoft each tenant is an issuer: whether people of one sign in, or of many. Null elsewhere. */
  readonly tenants: 'one' | 'many' | null;
}

/** A provider that says who has signed in in a document of its own. */
export interface OAuth2Provider extends Provider {
  readonly kind: 'oauth2';
  readonly authorizationUrl: string;
  readonly tokenUrl: string;
  readonly userinfoUrl: string;
  /** Where GitHub tells which address is the primary one, and verified; null elsewhere. */
  readonly emailsUrl: string | null;
  readonly map: ClaimMap;
  readonly vouchedBy: 'claim' | 'provider';
}

export type SignInProvider = OpenIdProvider | OAuth2Provider;

/** How people sign in. Times in milliseconds. */
export interface SignIn {
  /** The first signs, all are good. */
  readonly secrets: readonly string[];
  readonly maxAge: number;
  readonly idleTimeout: number;
  readonly providers: readonly SignInProvider[];
  /** In lower case. */
  readonly allow: {
    readonly anyone: boolean;
    readonly emailDomains: readonly string[];
    readonly emails: readonly string[];
  };
  /** Addresses in lower case. */
  readonly admins: readonly { readonly provider: string; readonly email: string }[];
}

/** What a program shows at the admin API, and what the ledger calls it. */
export interface AdminToken {
  readonly name: string;
  readonly token: string;
}

/** An issuer of JWT access tokens. */
export interface BearerIssuer {
  /** As its tokens name it. */
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly algorithms: readonly string[];
  /** Milliseconds. */
  readonly leeway: number;
  readonly requireType: boolean;
}

/** Where to ask about tokens that say nothing by themselves. At least one of `audience` and `clients` is not empty. */
export interface IntrospectionEndpoint {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly audience: readonly string[];
  readonly clients: readonly string[];
}

/** What to match and what it costs. */
export interface Route {
  /** Unique, printable ASCII: a metrics label. */
  readonly name: string;
  /** Begins with `/`; a prefix has no trailing slash, but for `/` itself. */
  readonly path: string;
  readonly exact: boolean;
  /** Upper case; GET stands for HEAD too. Null for all methods. */
  readonly methods: readonly string[] | null;
  /** A key of `upstreams`. */
  readonly upstream: string;
  /** Like `path`; null keeps the path. */
  readonly rewritePrefix: string | null;
  /** Credits; 0 with `auth: 'none'`. */
  readonly cost: number;
  /** What may be called with; `none` is anyone. */
  readonly auth: readonly CredentialKind[] | 'none';
  /** What a token has to hold. */
  readonly scopes: readonly string[];
  /** Bytes of a request's body; null for no limit. */
  readonly maxBodySize: number | null;
  /** Between two reads of an answer, in milliseconds; 0 is no limit. */
  readonly readTimeout: number;
  readonly headers: { readonly request: HeaderRules; readonly response: HeaderRules };
}

/** The checked configuration, deeply frozen. Times in milliseconds. */
export interface Config {
  readonly server: Server;
  readonly ops: Readonly<ConfigFile['ops']>;
  readonly log: Readonly<ConfigFile['log']>;
  /** `url` is never empty: `sqlite:PATH` or `postgres(ql)://…`. */
  readonly database: Readonly<Omit<ConfigFile['database'], 'url'> & { url: string }>;
  readonly dataDir: string;
  readonly journal: { readonly fsync: 'always' | 'interval' | 'never' };
  readonly plans: Readonly<Record<string, Readonly<ConfigFile['plans'][string]>>>;
  /** A key of `plans`. */
  readonly defaultPlan: string;
  readonly topUpUrl: string | null;
  readonly auth: {
    /** Lower case, in the order in which they are looked at. */
    readonly apiKeys: { readonly headers: readonly string[] };
    readonly adminTokens: readonly AdminToken[];
    readonly bearer: readonly BearerIssuer[];
    /** Null where no provider is asked about tokens. */
    readonly introspection: IntrospectionEndpoint | null;
    /** Null where nobody can sign in. */
    readonly signIn: SignIn | null;
  };
  /** Null when preflights are the upstreams' to answer. */
  readonly cors: Cors | null;
  readonly upstreams: Readonly<Record<string, Upstream>>;
  readonly routes: readonly Route[];
}

/** How a configuration is read. */
export interface ReadOptions {
  /** The name of the file, as messages show it. */
  readonly file: string;
  /** Where `${NAME}` and `DATABASE_URL` are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a file that the configuration names (`${file:…}`, `tls.ca`), relative to the working directory. */
  readonly readFile?: (path: string) => string;
}

/** A configuration and what `check` says about it. */
export interface ParsedConfig {
  readonly config: Config;
  /** The variables used, sorted: `PORT`, or `file:/run/secrets/x`. */
  readonly variables: readonly string[];
  /** What is valid and yet must not reach production. */
  readonly warnings: readonly Problem[];
}

/** Reads and checks the file. Throws a ConfigError with every problem, also when the file cannot be read. */
export function loadConfig(options: ReadOptions): Config {
  return checkConfig(options).config;
}

/** Like loadConfig, and with what `check` tells besides. */
export function checkConfig(options: ReadOptions): ParsedConfig {
  const { file, readFile = readText } = options;
  let text: string;
  try {
    text = readFile(file);
  } catch (error) {
    const message = `The configuration ${whyUnreadable(error)}`;
    const remedy = 'Name another with --config, or copy gateway.example.yaml and edit it';
    throw new ConfigError(file, [{ line: 0, column: 0, path: '', message, remedy }]);
  }
  return parseConfig(text, options);
}

/** Checks the text of a file. Throws a ConfigError with every problem. */
export function parseConfig(text: string, { file, env, readFile = readText }: ReadOptions): ParsedConfig {
  const { report, root, targets } = parseText(text);
  const sources = { env, readFile: readOnce(readFile) };
  const variables = new Set<string>();
  if (root === null) throw new ConfigError(file, report.problems());

  const reading = { report, sources, targets, variables, nodesLeft: nodesMax };
  const draft = (readNode(reading, ruleOf(configSchema), root, []) ?? {}) as Draft<ConfigFile>;
  checkFile(draft, report, sources);
  const problems = report.problems();
  if (problems.length > 0) throw new ConfigError(file, problems);
  const config = normalise(draft as ConfigFile, sources);
  if (draft.database?.url === undefined && env['DATABASE_URL']) variables.add('DATABASE_URL');
  return { config, variables: [...variables].toSorted(), warnings: report.warnings() };
}

const nodesMax = 100_000;

const readText = (path: string): string => readFileSync(path, 'utf8');

/** So that what was checked is what is used, whatever happens to the file in between. */
function readOnce(readFile: (path: string) => string): (path: string) => string {
  const texts = new Map<string, string>();
  return (path) => {
    const text = texts.get(path) ?? readFile(path);
    texts.set(path, text);
    return text;
  };
}
