// The first step of every request: it gets an id and a logger, and when it is over, whoever ended it, one line in the log
// and its place in the metrics. `close` of the answer is the one event that always comes, and only once; Fastify's own
// hooks are not run when the client leaves.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { pathWithoutCredentials } from './credentials.ts';
import type { Metrics } from './metrics.ts';

/** What the log and the metrics want to know of a call; the gateway's `request.call` satisfies it. */
export interface ObservedCall {
  readonly cost: number;
  readonly outcome: string | null;
  /** performance.now(), ms; null while it has not come to that. */
  readonly upstreamStartedAt: number | null;
  readonly upstreamHeadersAt: number | null;
  readonly upstreamError: string | null;
  /** Id of the ledger entry of a call that was charged; null of any other. */
  readonly chargeId: string | null;
  /** Credits that the caller has left; null where the call holds none. */
  readonly remaining: number | null;
  /** Calls back once `outcome` is known: the upstream's answer may come after the caller has left. */
  whenResolved(callback: () => void): void;
}

export interface ObserveOptions {
  readonly metrics: Metrics;
  /** What is known of a request's call, null without one. */
  readonly callOf: (request: FastifyRequest) => ObservedCall | null;
  readonly routeOf: (request: FastifyRequest) => string | null;
  readonly callerOf: (request: FastifyRequest) => { readonly userId: string; readonly keyId: string | null } | null;
}

/** Status in log and metrics of a request whose client left before an answer began. */
const clientLeftStatus = 499;

export const observe = fp(registerObserve, { name: 'observe' });

async function registerObserve(app: FastifyInstance, options: ObserveOptions): Promise<void> {
  app.addHook('onRequest', (request, reply, done) => {
    const startedAt = performance.now();
    // In the next tick: what else listens to the event, such as the call's own end, comes first.
    reply.raw.once('close', () => process.nextTick(conclude, request, reply, startedAt, options));
    done();
  });
}

/** The client's side is over; the upstream's may still be open, and the line waits for it. */
function conclude(request: FastifyRequest, reply: FastifyReply, startedAt: number, options: ObserveOptions): void {
  const { metrics, callOf, routeOf, callerOf } = options;
  const status = reply.raw.headersSent ? reply.raw.statusCode : clientLeftStatus;
  const route = routeOf(request) ?? 'none';
  const error = reply.getHeader('x-tollgate-error');
  metrics.requestEnded(route, status);
  if (typeof error === 'string') metrics.refused(error);
  const call = callOf(request);
  const caller = callerOf(request);
  const tell = () => {
    // One literal, and what is undefined is left out of the line: objects put together from others are slow to read.
    const line = {
      requestId: request.id,
      method: request.method,
      path: pathOf(request.originalUrl),
      route,
      user: caller?.userId ?? null,
      key: caller?.keyId ?? undefined,
      status,
      error: typeof error === 'string' ? error : undefined,
      cost: call?.cost ?? 0,
      outcome: call?.outcome ?? null,
      charge: call?.chargeId ?? undefined,
      remaining: call?.remaining ?? undefined,
      ms: msSince(startedAt),
      upstreamError: call?.upstreamError ?? undefined,
    };
    request.log.info(line, 'request');
  };
  if (call === null) {
    tell();
    return;
  }
  call.whenResolved(() => {
    measure(call, route, startedAt, metrics);
    tell();
  });
}

function measure(call: ObservedCall, route: string, startedAt: number, metrics: Metrics): void {
  if (call.upstreamStartedAt === null) return;
  metrics.callForwarded(route, (call.upstreamStartedAt - startedAt) / 1000);
  if (call.upstreamHeadersAt === null) return;
  metrics.upstreamAnswered(route, (call.upstreamHeadersAt - call.upstreamStartedAt) / 1000);
}

function msSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 1000) / 1000;
}

/** The query may hold anything, credentials too: it stays out of the log. */
function pathOf(url: string): string {
  const query = url.indexOf('?');
  return pathWithoutCredentials(query < 0 ? url : url.slice(0, query));
}
