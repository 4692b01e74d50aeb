// The first step of a call: its path and method lead to a route, or to a refusal. The route found is `request.matched`;
// it is null for the gateway's own paths, which Fastify routes itself.

import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Route } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import { compileMatcher, isReserved } from './matching.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The route of the call; null for paths of the gateway itself. */
    matched: Route | null;
  }
}

export interface RoutingOptions {
  readonly routes: readonly Route[];
}

/**
 * Decorates each request with `matched`. Refuses with TG_ROUTE_NOT_FOUND, TG_METHOD_NOT_ALLOWED (facts `{ allow }`),
 * TG_PATH_AMBIGUOUS or TG_REQUEST_MALFORMED.
 */
export const routing = fp(registerRouting, { name: 'routing' });

/**
 * The URL that Fastify's own router gets to see, for its option `rewriteUrl`; what was sent stays as `originalUrl`. All
 * calls are `/` to it: it would refuse, before any hook, a path that is not UTF-8 once decoded, such as `/caf%E9`.
 */
export function routerUrlOf({ url = '/' }: { readonly url?: string | undefined }): string {
  const query = url.indexOf('?');
  return isReserved(query === -1 ? url : url.slice(0, query)) ? url : '/';
}

async function registerRouting(app: FastifyInstance, { routes }: RoutingOptions): Promise<void> {
  const match = compileMatcher(routes);
  app.decorateRequest('matched', null);
  app.addHook('onRequest', (request, _reply, done) => {
    const found = match(request.method, request.originalUrl);
    if (found.kind === 'refused') {
      done(new TollgateError(found.code, found.allow === null ? {} : { allow: found.allow }));
      return;
    }
    if (found.kind === 'route') request.matched = found.route;
    done();
  });
}
