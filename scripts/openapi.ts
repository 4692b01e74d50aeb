// Renders the OpenAPI document from the routes themselves: their paths, schemas and credentials, with the words of
// openapi-operations.ts and the errors of src/errors.ts.

import swagger from '@fastify/swagger';
import fastify from 'fastify';
import { account } from '../src/api/account.ts';
import { adminApi } from '../src/api/admin/admin.ts';
import { keysApi } from '../src/api/keys.ts';
import { sessionApi } from '../src/api/session.ts';
import { readVersion } from '../src/cli/version.ts';
import { type ErrorCode, errorTable } from '../src/errors.ts';
import { signIn } from '../src/identity/sign-in/sign-in.ts';
import { type Audience, everywhere, securityOf } from './openapi-common.ts';
import { type OperationWords, operations, pathParameters } from './openapi-operations.ts';

interface Schema {
  required?: string[];
  properties?: Record<string, { readonly default?: unknown }>;
}

interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly schema: { readonly default?: unknown };
  required: boolean;
  description?: string;
}

interface Operation {
  parameters?: Parameter[];
  requestBody?: { required: boolean; readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Record<string, object>;
}

/** The document, as JSON. Throws when an operation has no words, or words have no operation. */
export async function renderOpenApi(): Promise<string> {
  const app = fastify({ exposeHeadRoutes: false });
  const audiences = new Map<string, Audience>();
  app.addHook('onRoute', ({ method, url, config }) => {
    audiences.set(
      nameOf(String(method), url),
      url.includes('/admin/') ? 'operator' : (config?.needsCaller ?? 'anybody'),
    );
  });
  await app.register(swagger, { openapi: { openapi: '3.1.0' }, stripBasePath: false });
  // No request is answered here: none of it is used.
  const nothing = undefined as never;
  await app.register(sessionApi, { db: nothing, meter: nothing });
  await app.register(account, { db: nothing, meter: nothing });
  await app.register(keysApi, { db: nothing, generateKey: nothing });
  await app.register(signIn, { signIn: { secrets: ['none'], providers: [] } } as never);
  await app.register(adminApi, { prepare: () => {} } as never);
  await app.ready();
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> };
  await app.close();
  const { components, description, license, servers, tags, title } = everywhere;
  const info = { title, version: readVersion(), description, license };
  const document = { openapi: '3.1.0', info, servers, tags, paths: describe(paths, audiences), components };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** `GET /_tollgate/api/ledger/{entryId}` */
function nameOf(method: string, path: string): string {
  return `${method.toUpperCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`;
}

function describe(paths: Record<string, Record<string, Operation>>, audiences: ReadonlyMap<string, Audience>): object {
  const left = new Set(Object.keys(operations));
  const described = Object.entries(paths).map(([path, item]) => [
    path,
    Object.fromEntries(
      Object.entries(item).map(([method, operation]) => {
        const name = nameOf(method, path);
        const words = operations[name];
        if (words === undefined) throw new Error(`scripts/openapi-operations.ts has no words for ${name}.`);
        left.delete(name);
        return [method, describeOperation(path, operation, words, audiences.get(name) ?? 'anybody')];
      }),
    ),
  ]);
  if (left.size > 0) throw new Error(`scripts/openapi-operations.ts has words for what is not there: ${[...left]}.`);
  return Object.fromEntries(described);
}

function describeOperation(path: string, operation: Operation, words: OperationWords, audience: Audience): object {
  const { id: operationId, summary, refusals = [] } = words;
  const { parameters = [], requestBody, responses } = operation;
  for (const parameter of parameters) describeParameter(parameter);
  if (requestBody !== undefined) describeBody(requestBody);
  const hasInput = requestBody !== undefined || parameters.some((parameter) => parameter.in !== 'path');
  const codes: ErrorCode[] = [
    ...(hasInput ? (['TG_INPUT_INVALID'] as const) : []),
    ...(requestBody === undefined ? [] : (['TG_BODY_TOO_LARGE'] as const)),
    ...commonRefusals[audience],
    ...(path.includes('{id}') ? (['TG_USER_NOT_FOUND'] as const) : []),
    ...refusals,
    ...(path.endsWith('/admin/status') ? [] : (['TG_STORE_UNAVAILABLE'] as const)),
  ];
  // Browsers are led there.
  const form = { $ref: `#/components/responses/${path.includes('/auth/') ? 'PageOrRefusal' : 'Refusal'}` };
  return {
    operationId,
    tags: [tagOf(path)],
    summary,
    ...{ security: securityOf(path, audience), parameters, requestBody },
    responses: { ...answersOf(responses), ...refusalsOf(codes, form), default: form },
  };
}

const commonRefusals: Readonly<Record<Audience, readonly ErrorCode[]>> = {
  anybody: ['TG_RATE_LIMITED'],
  any: [
    ...(['TG_AUTH_MISSING', 'TG_AUTH_INVALID', 'TG_AUTH_IN_QUERY', 'TG_USER_BLOCKED', 'TG_RATE_LIMITED'] as const),
    ...(['TG_AUTH_UNAVAILABLE', 'TG_OVERLOADED'] as const),
  ],
  session: [
    ...(['TG_AUTH_MISSING', 'TG_AUTH_INVALID', 'TG_AUTH_NOT_ACCEPTED', 'TG_AUTH_IN_QUERY', 'TG_USER_BLOCKED'] as const),
    ...(['TG_RATE_LIMITED', 'TG_OVERLOADED'] as const),
  ],
  operator: ['TG_ROUTE_NOT_FOUND', 'TG_OVERLOADED'],
};

function tagOf(path: string): string {
  if (path.includes('/admin/')) return 'Admin';
  if (path.includes('/auth/') || path.endsWith('/session')) return 'Sign-in';
  return path.includes('/keys') ? 'Keys' : 'Account';
}

/** What has a default may be left out. */
function describeParameter(parameter: Parameter): void {
  if (parameter.schema.default !== undefined) parameter.required = false;
  const words = parameter.in === 'path' ? pathParameters[parameter.name] : parameter.description;
  if (words !== undefined) parameter.description = words;
}

/** The same of its members, and of a body that has no other. */
function describeBody(body: NonNullable<Operation['requestBody']>): void {
  const schema = body.content['application/json']?.schema;
  if (schema?.properties === undefined) return;
  const { properties } = schema;
  const required = schema.required?.filter((name) => properties[name]?.default === undefined) ?? [];
  if (required.length > 0) schema.required = required;
  else delete schema.required;
  body.required = required.length > 0 || 'minProperties' in schema;
}

const answerWords: Readonly<Record<string, object>> = {
  200: { description: 'Done.' },
  201: { description: 'Made.' },
  204: { description: 'Done; there is nothing to tell.' },
  302: {
    description: 'The way goes on elsewhere.',
    headers: {
      Location: { description: 'Where.', required: true, schema: { type: 'string', format: 'uri-reference' } },
    },
  },
};

function answersOf(responses: Operation['responses']): Record<string, object> {
  return Object.fromEntries(
    Object.entries(responses).map(([status, answer]) => [status, { ...answer, ...answerWords[status] }]),
  );
}

/** By status, with the codes that it may have. */
function refusalsOf(codes: readonly ErrorCode[], form: object): Record<string, object> {
  const statuses = [...new Set(codes.map((code) => errorTable[code].status))].sort();
  const tell = (code: ErrorCode) => `\`${code}\`: ${errorTable[code].message}`;
  return Object.fromEntries(
    statuses.map((status) => {
      const own = [...new Set(codes)].filter((code) => errorTable[code].status === status);
      return [status, { ...form, description: own.map(tell).join('\n\n') }];
    }),
  );
}
