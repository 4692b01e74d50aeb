// How calls are forwarded: one catch-all registration of @fastify/http-proxy over a dispatcher of ours. http-proxy and
// reply-from keep what they are good at, streaming an answer through Fastify; path, query, fields and body do not go
// through them, because they parse and encode anew what has to travel byte for byte.

import { type IncomingHttpHeaders, METHODS } from 'node:http';
import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy';
import type { FastifyInstance, FastifyRequest, RawServerBase, RequestGenericInterface } from 'fastify';
import type { Route, Upstream } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import type { Call } from './call.ts';
import { type Errand, errandKey, UpstreamDispatcher } from './dispatcher.ts';
import { answerFields, compileFieldRules, type FieldRules, hostOf, requestFields } from './fields.ts';
import type { OpenCalls } from './open-calls.ts';
import { targetOf } from './target.ts';
import { openUpload } from './upload.ts';

export interface ForwardingOptions {
  readonly routes: readonly Route[];
  readonly upstreams: Readonly<Record<string, Upstream>>;
  /** Fields in which credentials are looked for: what a shared cache has to tell callers apart by. */
  readonly credentialFields: readonly string[];
  /** Told of every call until it is resolved. */
  readonly openCalls: OpenCalls;
}

type ReplyOptions = NonNullable<FastifyHttpProxyOptions['replyOptions']>;

/** Never called: the errand knows where to. http-proxy only wants to see a URL. */
const placeholderOrigin = 'http://upstream.invalid';

/** Every method but CONNECT, which never gets to a handler. */
const methods = METHODS.filter((method) => method !== 'CONNECT');

/** Handles every path that no other route of the server has, for requests with a `call`. */
export async function forwarding(scope: FastifyInstance, options: ForwardingOptions): Promise<void> {
  const dispatcher = new UpstreamDispatcher(options.upstreams);
  // Fastify waits for its connections before this hook; calls whose caller has left wait for their upstream still.
  scope.addHook('onClose', async () => {
    await options.openCalls.whenNone();
    await dispatcher.destroy();
  });
  leaveBodiesAlone(scope);
  for (const method of methods) {
    if (!scope.supportedMethods.includes(method)) scope.addHttpMethod(method);
  }
  await scope.register(httpProxy, proxyOptions(options, dispatcher));
}

/** Bodies are not parsed, whatever their type, not even where Fastify would refuse the type as malformed. */
function leaveBodiesAlone(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
  scope.addHook('preParsing', (request, _reply, _payload, done) => {
    if (request.headers['content-type'] !== undefined && request.mediaType === undefined) {
      request.headers = { 'content-type': undefined };
    }
    done();
  });
}

function proxyOptions(options: ForwardingOptions, dispatcher: UpstreamDispatcher): FastifyHttpProxyOptions {
  const rules = compileRules(options);
  return {
    upstream: placeholderOrigin,
    httpMethods: methods,
    proxyPayloads: false,
    disableRequestLogging: true,
    internalRewriteLocationHeader: false,
    // It has all of the interface that is used; the type wants every overload of undici's own.
    undici: dispatcher as unknown as Exclude<FastifyHttpProxyOptions['undici'], undefined>,
    preRewrite: () => '/',
    preHandler: (request, _reply, done) => {
      done(request.call === null ? new TollgateError('TG_ROUTE_NOT_FOUND') : undefined);
    },
    replyOptions: {
      queryString: () => '',
      retryDelay: () => null,
      rewriteRequestHeaders: (request) => {
        const carrier: IncomingHttpHeaders & { [errandKey]: Errand } = {
          [errandKey]: openErrand(asHttp1(request), rules),
        };
        return carrier;
      },
      rewriteHeaders: (headers, request) =>
        request === undefined ? headers : fieldsForCaller(headers, asHttp1(request), rules, options.credentialFields),
      onResponse: sendAnswer,
    },
  };
}

function compileRules({ routes, upstreams }: ForwardingOptions): ReadonlyMap<Route, FieldRules> {
  const rules = new Map<Route, FieldRules>();
  for (const route of routes) {
    const upstream = upstreams[route.upstream];
    if (upstream === undefined) throw new Error(`route ${route.name} names an unknown upstream`);
    rules.set(route, compileFieldRules(route, upstream));
  }
  return rules;
}

function openErrand(request: FastifyRequest, allRules: ReadonlyMap<Route, FieldRules>): Errand {
  const { call, rules } = callOf(request, allRules);
  const caller = {
    requestId: request.id,
    userId: call.user?.userId ?? null,
    credentialField: call.user === null ? null : request.credentialField,
  };
  return {
    upstream: rules.upstream.name,
    method: request.method,
    path: targetOf(call.route, rules.upstream, request.originalUrl),
    fields: requestFields(request.raw, rules, caller),
    body: openUpload(request.raw),
    watcher: call,
    refuse: call.refuse,
  };
}

function fieldsForCaller(
  headers: IncomingHttpHeaders,
  request: FastifyRequest,
  allRules: ReadonlyMap<Route, FieldRules>,
  credentialFields: readonly string[],
): IncomingHttpHeaders {
  const { call, rules } = callOf(request, allRules);
  return answerFields(headers, rules, call.route.auth === 'none' ? null : credentialFields, {
    requestId: request.id,
    clientHost: hostOf(request.raw),
    credits: call.remaining === null ? null : { cost: call.cost, remaining: call.remaining },
  });
}

function callOf(request: FastifyRequest, allRules: ReadonlyMap<Route, FieldRules>): { call: Call; rules: FieldRules } {
  const { call } = request;
  const rules = call && allRules.get(call.route);
  if (!call || !rules) throw new Error('a request without a call came to be forwarded');
  return { call, rules };
}

/** reply-from's types allow for HTTP/2; the server is HTTP/1.1. */
function asHttp1(request: FastifyRequest<RequestGenericInterface, RawServerBase>): FastifyRequest {
  return request as FastifyRequest;
}

/** Fastify sends the header with the first byte of the body. Of a body without a length, as of events, it goes ahead. */
const sendAnswer: NonNullable<ReplyOptions['onResponse']> = (_request, reply, { stream }) => {
  reply.send(stream);
  if (reply.hasHeader('content-length')) return;
  setImmediate(() => {
    const { raw } = reply;
    if ('flushHeaders' in raw && !raw.headersSent && !raw.destroyed && raw.hasHeader('x-request-id'))
      raw.flushHeaders();
  });
};
