// The operators' door, on a port of its own: is the process alive, can it serve, what does it count. Routes and counts
// only, never users, keys or addresses.

import fastify, { type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

export interface OpsOptions {
  readonly registry: () => Registry | Promise<Registry>;
  /** Why the gateway should get no calls for the moment; empty when it should. */
  readonly obstacles: () => string[] | Promise<string[]>;
  /** What an operator should look at, although calls are served; empty when all is well. */
  readonly warnings: () => string[];
}

/** Makes the server, without listening. */
export function createOps({ registry, obstacles, warnings }: OpsOptions): FastifyInstance {
  // Nobody who is connected here keeps the gateway from ending.
  const app = fastify({ logger: false, forceCloseConnections: true });
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store');
    done();
  });
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const reasons = await obstacles();
    const told = warnings();
    const more = told.length === 0 ? {} : { warnings: told };
    if (reasons.length === 0) return { status: 'ready', ...more };
    return reply.code(503).send({ status: 'not ready', reasons, ...more });
  });
  app.get('/metrics', async (_request, reply) => {
    const metrics = await registry();
    reply.type(metrics.contentType);
    return metrics.metrics();
  });
  return app;
}
