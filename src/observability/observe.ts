// The first step of every request: it gets an id and a logger, and when it is over, whoever ended it, one line in the log
// and its place in the metrics. `close` of the answer is the one event that always comes, and only once; Fastify's own
// hooks are not run when the client leaves.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Metrics } from './metrics.ts';

/** What the log and the metrics want to know of a call; the gateway's `request.call` satisfies it. */
export interface ObservedCall {
  readonly cost: number;
  readonly outcome: string | null;
  /** performance.now(), ms; null while it has not come to that. */
  readonly upstreamStartedAt: number | null;
  readonly upstreamHeadersAt: number | null;
  readonly upstreamError: string | null;
  /** Calls back once `outcome` is known: the upstream's answer may come after the caller has left. */
  whenResolved(callback: () => void): void;
}

export interface ObserveOptions {
  readonly metrics: Metrics;
  /** What is known of a request's call, null without one. */
  readonly callOf: (request: FastifyRequest) => ObservedCall | null;
  readonly routeOf: (request: FastifyRequest) => string | null;
  readonly userOf: (request: FastifyRequest) => string | null;
}

/** Status in log and metrics of a request whose client left before an answer began. */
const clientLeftStatus = 499;

export const observe = fp(registerObserve, { name: 'observe' });

async function registerObserve(app: FastifyInstance, options: ObserveOptions): Promise<void> {
  app.addHook('onRequest', (request, reply, done) => {
    const startedAt = performance.now();
    const end = () => conclude(request, reply, startedAt, options);
    // In the next tick: what else listens to the event, such as the call's own end, comes first.
    reply.raw.once('close', () =>
      process.nextTick(() => {
        const call = options.callOf(request);
        if (call === null) end();
        else call.whenResolved(end);
      }),
    );
    done();
  });
}

function conclude(request: FastifyRequest, reply: FastifyReply, startedAt: number, options: ObserveOptions): void {
  const call = options.callOf(request);
  const status = reply.raw.headersSent ? reply.raw.statusCode : clientLeftStatus;
  const route = options.routeOf(request) ?? 'none';
  options.metrics.requestEnded(route, status);
  const error = reply.getHeader('x-tollgate-error');
  if (typeof error === 'string') options.metrics.refused(error);
  if (call !== null && call.upstreamStartedAt !== null) {
    options.metrics.callForwarded(route, (call.upstreamStartedAt - startedAt) / 1000);
    if (call.upstreamHeadersAt !== null) {
      options.metrics.upstreamAnswered(route, (call.upstreamHeadersAt - call.upstreamStartedAt) / 1000);
    }
  }
  const line = {
    method: request.method,
    path: pathOf(request.originalUrl),
    route,
    user: options.userOf(request),
    status,
    cost: call?.cost ?? 0,
    outcome: call?.outcome ?? null,
    ...(typeof error === 'string' && { error }),
    ms: Math.round((performance.now() - startedAt) * 1000) / 1000,
    ...(call !== null && call.upstreamError !== null && { upstreamError: call.upstreamError }),
  };
  request.log.info(line, 'request');
}

/** The query may hold anything, credentials too: it stays out of the log. */
function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}
