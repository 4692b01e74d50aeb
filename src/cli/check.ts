// The command that validates a configuration and shows what it does: where each route leads, what no call can reach,
// what to register at providers, what it was made of, and what must not reach production.

import { METHODS } from 'node:http';
import { Option } from 'commander';
import type { Config, ParsedConfig, Route } from '../config/config.ts';
import { ConfigError, formatProblem } from '../config/problems.ts';
import { errorTable } from '../errors.ts';
import { compileMatcher, type Matcher } from '../gateway/matching.ts';
import { explain } from '../gateway/target.ts';
import { redirectUriOf } from '../identity/sign-in/addresses.ts';
import type { Command, Context } from './command.ts';
import { exitCodes, usageFailure } from './failure.ts';

export const checkCommand: Command<{ explain?: string }> = {
  name: 'check',
  alias: 'validate',
  summary: 'validate a configuration, and show where its routes lead',
  details:
    'Every problem is told at once, with line, column and remedy. Where people sign in, the redirect addresses to ' +
    'register at the providers are shown. Touches neither the database nor an upstream.',
  options: [new Option('--explain <call>', 'what would happen to a call, such as "POST /v1/chat"')],
  examples: ['check', 'check --config gateway.example.yaml --json', 'check --explain "POST /v1/chat"'],
  run: async (context, input) => {
    const parsed = await readConfig(context);
    if (parsed === null) return exitCodes.config;
    if (input.explain !== undefined) explainCall(context, parsed.config, input.explain);
    else showConfig(context, parsed);
    return exitCodes.done;
  },
};

/** Null when it is invalid and the result, a document with the problems, has been given. */
async function readConfig({ configFile, env, output }: Context): Promise<ParsedConfig | null> {
  const { checkConfig } = await import('../config/config.ts');
  try {
    return checkConfig({ file: configFile, env });
  } catch (error) {
    if (!(error instanceof ConfigError) || !output.isJson) throw error;
    output.result({ valid: false, file: configFile, problems: error.problems }, '');
    return null;
  }
}

function showConfig({ configFile, output }: Context, { config, variables, warnings }: ParsedConfig): void {
  const match = compileMatcher(config.routes);
  const routes = config.routes.map((route) => ({ route, sample: sampleOf(match, config, route) }));
  const lines = [
    `${configFile} is valid.`,
    '',
    ...routes.map(({ route, sample }) => (sample === null ? shadowed(route) : forwarded(route, sample))),
  ];
  const redirects = redirectsOf(config);
  if (redirects.length > 0) lines.push('', ...redirects.map(({ provider, url }) => `Register at ${provider}: ${url}`));
  if (variables.length > 0) lines.push('', `Variables used: ${variables.join(', ')}`);
  if (warnings.length > 0)
    lines.push('', ...warnings.map((warning) => `Warning: ${formatProblem(configFile, warning)}`));
  const documents = routes.map(({ route: { headers: _, ...route }, sample }) => ({
    ...route,
    sample,
    isShadowed: sample === null,
  }));
  output.result({ valid: true, file: configFile, routes: documents, redirects, variables, warnings }, lines.join('\n'));
}

/** Where each provider has to be allowed to send people back to. */
function redirectsOf({ server: { portalPlace }, auth: { signIn } }: Config): { provider: string; url: string }[] {
  if (portalPlace === null) return [];
  return (signIn?.providers ?? []).map(({ name }) => ({ provider: name, url: redirectUriOf(portalPlace, name) }));
}

interface Sample {
  readonly method: string;
  readonly path: string;
  readonly url: string;
}

/** A call that the route answers and where it goes, or null when other routes take every call that was tried. */
function sampleOf(match: Matcher, { upstreams }: Config, route: Route): Sample | null {
  const below = (segment: string) => `${route.path.replace(/\/$/, '')}/${segment}`;
  const paths = route.exact
    ? [route.path]
    : [below('x'), below('x1'), below('any.thing'), below('sample/x'), route.path];
  const methods = route.methods ?? ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PURGE'];
  for (const path of paths) {
    for (const method of methods) {
      const found = explain(match, upstreams, method, path);
      if (found.kind === 'forwarded' && found.route === route) return { method, path, url: found.url };
    }
  }
  return null;
}

function forwarded(route: Route, { method, path, url }: Sample): string {
  return `${method} ${path} → ${url}, ${priceOf(route)}`;
}

function shadowed(route: Route): string {
  return `${route.path} (${route.name}) is shadowed: other routes take all its calls`;
}

function priceOf(route: Route): string {
  if (route.auth === 'none') return 'public and free';
  return route.cost === 1 ? '1 credit' : `${route.cost} credits`;
}

function explainCall({ output }: Context, config: Config, call: string): void {
  const parts = /^(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+) +)?(\S+)$/.exec(call.trim());
  if (parts === null) throw usageFailure('Write --explain "METHOD /path", such as --explain "POST /v1/chat".');
  const [, method = 'GET', path = ''] = parts;
  if (!METHODS.includes(method)) throw usageFailure(`${method} is no HTTP method. Write one such as GET or POST.`);
  const found = explain(compileMatcher(config.routes), config.upstreams, method, path);
  if (found.kind === 'forwarded') {
    const { route, url } = found;
    const { name, cost, auth } = route;
    const text = `${forwarded(route, { method, path, url })} (route ${name})`;
    output.result({ method, path, outcome: 'forwarded', route: name, url, cost, auth }, text);
  } else if (found.kind === 'refused') {
    const { status, message } = errorTable[found.code];
    const allow = found.allow === null ? '' : ` Allowed: ${found.allow}.`;
    const text = `${method} ${path} is refused: ${status} ${found.code}. ${message}${allow}`;
    output.result({ method, path, outcome: 'refused', status, code: found.code, allow: found.allow }, text);
  } else {
    output.result({ method, path, outcome: 'reserved' }, `${method} ${path} is one of the gateway's own paths.`);
  }
}
