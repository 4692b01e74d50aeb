// How calls are forwarded: one handler for every path and method, between the errand that goes to the upstream and the
// answer that comes back. Path, query, fields and body pass through nothing that parses and writes them anew.

import { METHODS } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Cors, Route, Upstream } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import { Answer } from './answer.ts';
import type { Call } from './call.ts';
import { withCors } from './cors.ts';
import { UpstreamDispatcher } from './dispatcher.ts';
import {
  answerFields,
  compileFieldRules,
  type FieldRules,
  fieldValue,
  hostOf,
  passingFields,
  requestFields,
} from './fields.ts';
import type { OpenCalls } from './open-calls.ts';
import { compileTrust } from './peer.ts';
import type { Site } from './site.ts';
import { targetOf } from './target.ts';
import { Tunnels } from './tunnels.ts';
import { type Upgrade, upgradeOf } from './upgrade.ts';
import { openUpload } from './upload.ts';

export interface ForwardingOptions {
  readonly routes: readonly Route[];
  readonly upstreams: Readonly<Record<string, Upstream>>;
  /** Fields in which credentials are looked for: what a shared cache has to tell callers apart by. */
  readonly credentialFields: readonly string[];
  /** Addresses and ranges whose word on where a request comes from is passed on. */
  readonly trustedProxies: readonly string[];
  readonly site: Site;
  /** Which scripts of other origins may read answers; null leaves that to the upstream. */
  readonly cors: Cors | null;
  /** Told of every call until it is resolved. */
  readonly openCalls: OpenCalls;
}

/** Every method but CONNECT, which never gets to a handler. */
const methods = METHODS.filter((method) => method !== 'CONNECT');

/** Handles every path that no other route of the server has, for requests with a `call`. */
export async function forwarding(scope: FastifyInstance, options: ForwardingOptions): Promise<void> {
  const dispatcher = new UpstreamDispatcher(options.upstreams);
  const tunnels = new Tunnels();
  scope.addHook('preClose', (done) => {
    tunnels.close();
    done();
  });
  // Fastify waits for its connections before this hook; calls whose caller has left wait for their upstream still.
  scope.addHook('onClose', async () => {
    await options.openCalls.whenNone();
    await dispatcher.destroy();
  });
  leaveBodiesAlone(scope);
  for (const method of methods) {
    if (!scope.supportedMethods.includes(method)) scope.addHttpMethod(method);
  }
  // Fastify would refuse a QUERY without a media type; said to have no body, it is let through like the others.
  scope.addHttpMethod('QUERY', { overrideExisting: true });
  const allRules = compileRules(options);
  scope.route({
    method: methods,
    url: '/*',
    handler: (request, reply) => forward(request, reply, { allRules, dispatcher, tunnels, ...options }),
  });
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

function compileRules({ routes, upstreams, trustedProxies, site }: ForwardingOptions): ReadonlyMap<Route, FieldRules> {
  const trust = compileTrust(trustedProxies);
  const rules = new Map<Route, FieldRules>();
  for (const route of routes) {
    const upstream = upstreams[route.upstream];
    if (upstream === undefined) throw new Error(`route ${route.name} names an unknown upstream`);
    rules.set(route, compileFieldRules(route, upstream, trust, site));
  }
  return rules;
}

interface Means extends ForwardingOptions {
  readonly allRules: ReadonlyMap<Route, FieldRules>;
  readonly dispatcher: UpstreamDispatcher;
  readonly tunnels: Tunnels;
}

function forward(request: FastifyRequest, reply: FastifyReply, means: Means): void {
  const { call, raw } = request;
  if (call === null) throw new TollgateError('TG_ROUTE_NOT_FOUND');
  const rules = means.allRules.get(call.route);
  if (rules === undefined) throw new Error(`a call on an unknown route, ${call.route.name}`);
  const upgrade = upgradeOf(raw);
  const caller = {
    requestId: request.id,
    userId: call.user?.userId ?? null,
    credentialField: call.user === null ? null : request.credentialField,
  };
  means.dispatcher.send({
    upstream: rules.upstream.name,
    method: request.method,
    path: targetOf(call.route, rules.upstream, request.target),
    fields: requestFields(raw, rules, caller),
    body: openUpload(raw, reply.raw, call),
    protocol: upgrade === null ? null : upgrade.protocol,
    readTimeout: call.route.readTimeout,
    watcher: call,
    receiver: openAnswer(request, reply, { call, rules, upgrade }, means),
  });
}

function openAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  { call, rules, upgrade }: { call: Call; rules: FieldRules; upgrade: Upgrade | null },
  { credentialFields, cors, tunnels }: Means,
): Answer {
  const fieldsFor = (upstreamFields: readonly string[]) => {
    const fields = answerFields(upstreamFields, rules, request.isPublic ? null : credentialFields, {
      requestId: request.id,
      clientHost: hostOf(request.raw),
      credits: call.remaining === null ? null : { cost: call.cost, remaining: call.remaining },
    });
    return cors === null ? fields : withCors(fields, cors, request.headers.origin);
  };
  const onSwitched = (fields: readonly string[], upstream: Duplex) => {
    if (upgrade === null) throw new Error('an upstream switched protocols unasked');
    const idleMs = call.route.readTimeout;
    const protocol = fieldValue(fields, 'upgrade') ?? upgrade.protocol;
    tunnels.open({ upgrade, reply, fields: fieldsFor(fields), protocol, upstream, idleMs });
  };
  const passing = (fields: readonly string[]) => passingFields(fields, rules);
  return new Answer({ request, reply, call, fieldsFor, passing, onSwitched });
}
