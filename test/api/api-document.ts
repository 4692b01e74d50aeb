// The OpenAPI document as the tests read it: what it promises of each operation, and what an answer or a request has that
// it does not tell. Objects are taken to have no other members than those that are told, whatever clients may expect.

import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';

export interface Operation {
  readonly id: string;
  readonly method: string;
  /** With its parameters in braces. */
  readonly path: string;
  readonly tags: readonly string[];
  readonly summary: string;
  /** The names of the credentials that it takes; empty where it asks for none. */
  readonly credentials: readonly string[];
  readonly parameters: readonly Parameter[];
  readonly body: { readonly required: boolean; readonly schema: object } | null;
  /** By status, or `default`. */
  readonly responses: Readonly<Record<string, Answer>>;
}

interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly required: boolean;
  readonly schema: { readonly type?: string; readonly enum?: readonly string[] };
}

interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

interface RawOperation extends Omit<Operation, 'id' | 'method' | 'path' | 'credentials' | 'body'> {
  readonly operationId: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, { readonly schema: object }> };
}

interface Document extends Readonly<Record<string, unknown>> {
  readonly servers: readonly [{ readonly url: string }];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>;
  readonly components: { readonly securitySchemes: Readonly<Record<string, object>> };
}

export const documentText = readFileSync('config/openapi.json', 'utf8');
export const document = JSON.parse(documentText) as Document;

/** By their ids. */
export const operations: ReadonlyMap<string, Operation> = new Map(
  Object.entries(document.paths)
    .flatMap(([path, item]) => Object.entries(item).map(([method, raw]) => readOperation(path, method, raw)))
    .map((operation) => [operation.id, operation]),
);

function readOperation(path: string, method: string, raw: RawOperation): Operation {
  const { operationId: id, security, requestBody, parameters, responses, ...rest } = raw;
  const schema = requestBody?.content['application/json']?.schema;
  return {
    ...{ ...rest, id, path, method: method.toUpperCase(), parameters },
    credentials: security.flatMap((each) => Object.keys(each)),
    body: requestBody === undefined || schema === undefined ? null : { required: requestBody.required, schema },
    responses: Object.fromEntries(Object.entries(responses).map(([status, answer]) => [status, resolved(answer)])),
  };
}

/** A reference, with what is said beside it. */
function resolved<T extends object>(value: T): T {
  if (!('$ref' in value)) return value;
  const { $ref: reference, ...rest } = value as { $ref: string };
  const names = reference.replace(/^#\//, '').split('/');
  const found = names.reduce<unknown>((place, name) => (place as Record<string, unknown>)[name], document);
  if (found === undefined) throw new Error(`${reference} leads nowhere`);
  return { ...(found as T), ...rest };
}

const judge = new Ajv2020({ strict: true, allErrors: true, formats: { 'date-time': true, date: true } });

function faultsOf(what: string, schema: object, value: unknown): string[] {
  const check = judge.compile(closed(resolved(schema)) as object);
  check(value);
  return (check.errors ?? []).map(
    (error) => `${what}${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`,
  );
}

/** With no members but those that are told. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return 'properties' in inner ? { additionalProperties: false, ...inner } : inner;
}

/** What an answer has that is not told, or lacks. */
export async function faultsOfAnswer(operation: Operation, answer: Response): Promise<string[]> {
  const { status, headers } = answer;
  const code = headers.get('x-tollgate-error');
  const told = operation.responses[status];
  if (told === undefined) return [`${operation.id}: ${status} ${code} is not told`];
  const text = await answer.text();
  const faults = Object.entries(told.headers ?? {})
    .filter(([name, { required }]) => required === true && !headers.has(name))
    .map(([name]) => `the field ${name} is missing`);
  if (code !== null && !told.description.includes(`\`${code}\``)) faults.push(`${code} is not told`);
  return [...faults, ...faultsOfContent(told, headers.get('content-type'), text)].map(
    (fault) => `${operation.id} ${status}: ${fault}`,
  );
}

function faultsOfContent({ content }: Answer, type: string | null, text: string): string[] {
  if (content === undefined) return text === '' ? [] : ['a body is not told'];
  const schema = content[type?.replace(/;.*/, '') ?? '']?.schema;
  if (schema === undefined) return [`the type ${type} is not told`];
  return faultsOf('body', schema, /json/.test(type ?? '') ? JSON.parse(text) : text);
}

export interface Asked {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | number>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** What a request has that is not told, or lacks. */
export function faultsOfRequest({ id, parameters, body }: Operation, asked: Asked): string[] {
  const places: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    path: asked.params,
    query: asked.query,
    header: asked.headers,
  };
  const faults = parameters.flatMap((parameter) => {
    const value = places[parameter.in]?.[parameter.name];
    if (value !== undefined) return faultsOf(parameter.name, parameter.schema, value);
    return parameter.required ? [`${parameter.name} is missing`] : [];
  });
  for (const [place, values] of Object.entries(places)) {
    const names = parameters.filter((parameter) => parameter.in === place).map(({ name }) => name);
    faults.push(...Object.keys(values).flatMap((name) => (names.includes(name) ? [] : [`${name} is not told`])));
  }
  if (asked.body !== undefined)
    faults.push(...(body === null ? ['a body is not told'] : faultsOf('body', body.schema, asked.body)));
  else if (body?.required === true) faults.push('the body is missing');
  return faults.map((fault) => `${id}: ${fault}`);
}
