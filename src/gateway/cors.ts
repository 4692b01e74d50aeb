// Which scripts of other origins may read the gateway's answers, by the Fetch standard: pure. Keys travel in fields
// that scripts set themselves, and sessions count for the gateway's own origin only: so credentials of the browser are
// never allowed, and whoever may read is decided by `cors` alone, not by the upstream.

import type { Cors } from '../config/config.ts';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What the gateway says in answers that a script could not read otherwise. A route's rules can add to them. */
const exposedFields: readonly string[] = [
  'X-Credits-Cost',
  'X-Credits-Remaining',
  'X-Credits-Required',
  'X-Request-Id',
  'X-Tollgate-Error',
  'Retry-After',
  'Link',
  'WWW-Authenticate',
  'Location',
];

const replacedFields: ReadonlySet<string> = new Set([
  'access-control-allow-origin',
  'access-control-allow-credentials',
]);

const methodPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;

/** Whether a browser asks what a script may send. An OPTIONS of any other kind is an ordinary call. */
export function isPreflight(method: string, headers: Headers): boolean {
  return (
    method === 'OPTIONS' && headers['origin'] !== undefined && headers['access-control-request-method'] !== undefined
  );
}

/**
 * The fields of the 204 that answers a preflight. `methods` are those that the path takes, null for all. An origin that
 * is not listed gets a 204 too, without permission: that is how a browser is refused, and an error status would tell it
 * nothing more.
 */
export function preflightFields(
  cors: Cors,
  headers: Headers,
  methods: readonly string[] | null,
): Record<string, string> {
  const origin = allowedOrigin(cors, headers['origin']);
  const vary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';
  if (origin === null) return { Vary: vary };
  const requested = String(headers['access-control-request-method'] ?? '');
  const allowed = methods ?? (methodPattern.test(requested) ? [requested] : []);
  return {
    'Access-Control-Allow-Origin': origin,
    ...(allowed.length > 0 && { 'Access-Control-Allow-Methods': allowed.join(', ') }),
    ...(cors.headers.length > 0 && { 'Access-Control-Allow-Headers': allowedHeaders(cors).join(', ') }),
    'Access-Control-Max-Age': String(cors.maxAgeSeconds),
    Vary: vary,
  };
}

/** The fields of every answer that the gateway makes itself, for a request with this `Origin`. */
export function corsFields(cors: Cors, origin: string | string[] | undefined): Record<string, string> {
  const allowed = allowedOrigin(cors, origin);
  return {
    ...(allowed !== null && {
      'Access-Control-Allow-Origin': allowed,
      'Access-Control-Expose-Headers': exposedFields.join(', '),
    }),
    // Said to everybody: what a cache keeps of an answer to one origin must not be handed to another.
    ...(cors.origins !== '*' && { Vary: 'Origin' }),
  };
}

/**
 * The fields of an upstream's answer (name, value, name, value…, in any case), with the gateway's. Its own
 * Access-Control-Allow-Origin and -Credentials are one statement, about origins that are not ours to vouch for, and go;
 * what it exposes and varies by is kept and added to; the rest passes.
 */
export function withCors(fields: readonly string[], cors: Cors, origin: string | string[] | undefined): string[] {
  const answer: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (!replacedFields.has(name.toLowerCase())) answer.push(name, fields[i + 1] ?? '');
  }
  for (const [name, value] of Object.entries(corsFields(cors, origin))) addToList(answer, name, value);
  return answer;
}

/** Adds what a list field does not have yet to its last line, or as a line of its own; `*` has everything. */
function addToList(fields: string[], name: string, value: string): void {
  const key = name.toLowerCase();
  let last = -1;
  const present = new Set<string>();
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() !== key) continue;
    last = i + 1;
    for (const item of (fields[last] ?? '').toLowerCase().split(',')) present.add(item.trim());
  }
  if (present.has('*')) return;
  const missing = value.split(', ').filter((item) => !present.has(item.toLowerCase()));
  if (missing.length === 0) return;
  if (last === -1) fields.push(name, missing.join(', '));
  else fields[last] = [fields[last], ...missing].join(', ');
}

/** What Access-Control-Allow-Origin says: the origin itself, `*`, or null for one that is not listed. */
function allowedOrigin(cors: Cors, origin: string | string[] | undefined): string | null {
  if (cors.origins === '*') return '*';
  return typeof origin === 'string' && cors.origins.includes(origin) ? origin : null;
}

/** Fetch §3.3.4: `*` does not stand for Authorization, which has to be named. */
function allowedHeaders({ headers }: Cors): readonly string[] {
  return headers.includes('*') && !headers.includes('authorization') ? [...headers, 'authorization'] : headers;
}
