// How errors become answers, at the edge: the one error handler. Whatever goes wrong leaves as a status, a code, and
// a public message of the table in errors.ts, in the form the caller asked for; the cause stays in the log.

import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, type ErrorFacts, TollgateError } from './errors.ts';
import { isOutage } from './store/outage.ts';

export interface ErrorAnswerOptions {
  /** Where a caller gets more credits, or null. */
  readonly topUpUrl: string | null;
  /** What else every answer to a request carries, such as the fields of CORS. */
  readonly commonFields: (request: FastifyRequest) => Readonly<Record<string, string>>;
  /** What a person sees in place of a page; null where a program has asked. */
  readonly pageOf: (error: TollgateError, request: FastifyRequest) => Promise<ErrorPage> | null;
}

/** A page that tells an error, with the fields that go with it. */
export interface ErrorPage {
  readonly html: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** Seconds after which a caller may try again what was refused for the moment. */
const retryAfterSeconds = 1;

const problemType = 'application/problem+json';

/** Makes every error of the server, and every path without a handler, an answer with a code of the table. */
export function registerErrorHandler(app: FastifyInstance, options: ErrorAnswerOptions): void {
  app.setErrorHandler((error: FastifyError | TollgateError, request, reply) =>
    answerError(error, request, reply, options),
  );
  app.setNotFoundHandler((request, reply) =>
    answerError(new TollgateError('TG_ROUTE_NOT_FOUND'), request, reply, options),
  );
}

/** Answers with an error. Also for Fastify's `frameworkErrors`, where no hook and no error handler has run. */
export function answerError(
  cause: Error,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ErrorAnswerOptions,
): FastifyReply {
  const error = cause instanceof TollgateError ? cause : fromForeignError(cause);
  if (error.code === 'TG_INTERNAL') {
    request.log.error({ requestId: request.id, err: error.cause ?? error }, 'the gateway failed');
  }
  reply.code(error.status).headers({
    'x-tollgate-error': error.code,
    'x-request-id': request.id,
    'cache-control': 'no-store',
    ...(isLastOnConnection(error.code, request) && { connection: 'close' }),
    ...options.commonFields(request),
    ...fieldsOf(error, options),
  });
  const page = options.pageOf(error, request);
  if (page === null) return sendToProgram(error, request, reply);
  void page.then(
    ({ html, fields }) => reply.headers(fields).type('text/html; charset=utf-8').send(html),
    (err) => {
      request.log.error({ requestId: request.id, err }, 'the page of an error cannot be made');
      sendToProgram(error, request, reply);
    },
  );
  return reply;
}

function sendToProgram(error: TollgateError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (acceptsProblem(request.headers.accept ?? '')) {
    return reply.type(problemType).send(JSON.stringify(problemOf(error, request.id)));
  }
  return reply.type('application/json; charset=utf-8').send(JSON.stringify({ error: error.message }));
}

const lastCodes: ReadonlySet<ErrorCode> = new Set([
  'TG_REQUEST_MALFORMED',
  'TG_VERSION_UNSUPPORTED',
  'TG_BODY_TOO_LARGE',
  'TG_REQUEST_TIMEOUT',
]);

/** Whether nothing more should be read: who knows where a next request would begin? A body that was not asked for may or may not come. */
function isLastOnConnection(code: ErrorCode, { headers }: FastifyRequest): boolean {
  return lastCodes.has(code) || headers.expect !== undefined;
}

/** Whether `Accept` names the type itself, in any case and not to refuse it (`;q=0`). */
function acceptsProblem(accept: string): boolean {
  return accept
    .toLowerCase()
    .split(',')
    .map((range) => range.split(';').map((part) => part.trim()))
    .some(([type, ...parameters]) => type === problemType && !parameters.some((part) => /^q=0(\.0*)?$/.test(part)));
}

/** Others' errors: a store that is down, what Fastify blames on the caller; anything else is our failure. */
function fromForeignError(cause: Error): TollgateError {
  if ('validation' in cause) return new TollgateError('TG_INPUT_INVALID', { input: cause.message }, cause);
  if (isOutage(cause)) return new TollgateError('TG_STORE_UNAVAILABLE', {}, cause);
  const status = 'statusCode' in cause && typeof cause.statusCode === 'number' ? cause.statusCode : 500;
  if (status === 404) return new TollgateError('TG_ROUTE_NOT_FOUND', {}, cause);
  if (status === 413) return new TollgateError('TG_BODY_TOO_LARGE', {}, cause);
  if ('code' in cause && String(cause.code).startsWith('FST_ERR_CTP_')) {
    return new TollgateError('TG_INPUT_INVALID', { input: 'the body is not JSON, or does not say that it is' }, cause);
  }
  return new TollgateError(status >= 400 && status <= 499 ? 'TG_REQUEST_MALFORMED' : 'TG_INTERNAL', {}, cause);
}

/** The fields that go with a status, beside those that go with every error. */
function fieldsOf(error: TollgateError, { topUpUrl }: ErrorAnswerOptions): Record<string, string> {
  switch (error.status) {
    case 401:
      return { 'www-authenticate': challengeFor(error.code) };
    case 403:
      return error.code === 'TG_SCOPE_MISSING' ? { 'www-authenticate': scopeChallengeFor(error.facts) } : {};
    case 402:
      return {
        'x-credits-required': String(error.facts['required'] ?? ''),
        'x-credits-cost': '0',
        'x-credits-remaining': String(error.facts['remaining'] ?? ''),
        ...(topUpUrl === null ? {} : { link: `<${topUpUrl}>; rel="payment"` }),
      };
    case 405:
      return { allow: String(error.facts['allow'] ?? '') };
    case 429:
      return { 'retry-after': String(error.facts['retryAfter'] ?? '') };
    case 503:
      return { 'retry-after': String(retryAfterSeconds) };
    default:
      return {};
  }
}

/** RFC 6750 §3.1: no error code where no credential was sent. */
function challengeFor(code: ErrorCode): string {
  const realm = 'Bearer realm="tollgate"';
  return code === 'TG_AUTH_MISSING' ? realm : `${realm}, error="invalid_token"`;
}

/** RFC 6750 §3.1: with the scopes that would do. */
function scopeChallengeFor({ scope }: ErrorFacts): string {
  return `Bearer realm="tollgate", error="insufficient_scope", scope="${scope}"`;
}

/** RFC 9457: the code, what was short, and the request id beside the standard members. */
function problemOf(error: TollgateError, requestId: string): Record<string, string | number> {
  return {
    type: 'about:blank',
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    detail: error.message,
    code: error.code,
    ...error.facts,
    requestId,
  };
}
