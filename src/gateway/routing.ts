// The first step of a call: its path and method lead to a route, or to a refusal. The route found is `request.matched`;
// it is null for the gateway's own paths, which Fastify routes itself. A preflight takes the route of the request that it
// asks for, and needs no caller. Where browsers keep sessions, some calls get no upstream, whatever their route.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Cors, Route } from '../config/config.ts';
import { type ErrorCode, TollgateError } from '../errors.ts';
import { isPreflight, preflightFields } from './cors.ts';
import { hostOf } from './fields.ts';
import { compileMatcher, isReserved } from './matching.ts';
import { compileTrust, readPeer, type Trust } from './peer.ts';
import type { Site } from './site.ts';
import { faultOf, isHost, readTarget, targetBytesMax } from './well-formed.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The route of the call; null for paths of the gateway itself. */
    matched: Route | null;
    /** Path and query as they were sent, without the scheme and host of an absolute target. */
    target: string;
    /** Whether the call needs no credential and costs nothing: its route says so, or it is a preflight. */
    isPublic: boolean;
  }
}

export interface RoutingOptions {
  readonly routes: readonly Route[];
  /** With it the gateway answers preflights itself; null forwards them. */
  readonly cors: Cors | null;
  /** Addresses and ranges whose word on the host that a browser has named is taken. */
  readonly trustedProxies: readonly string[];
  readonly site: Site;
}

/**
 * Decorates each request with `matched`. Refuses with TG_ROUTE_NOT_FOUND, TG_METHOD_NOT_ALLOWED (facts `{ allow }`),
 * TG_PATH_AMBIGUOUS, TG_SERVICE_WORKER_REFUSED or TG_REQUEST_MALFORMED.
 */
export const routing = fp(registerRouting, { name: 'routing' });

/**
 * The URL that Fastify's own router gets to see, for its option `rewriteUrl`; what was sent stays as `originalUrl`. All
 * calls are `/` to it: it would refuse, before any hook, a path that is not UTF-8 once decoded, such as `/caf%E9`.
 */
export function routerUrlOf({ url = '/' }: { readonly url?: string | undefined }): string {
  const { path } = readTarget(url);
  const query = path.indexOf('?');
  return isReserved(query === -1 ? path : path.slice(0, query)) ? path : '/';
}

async function registerRouting(app: FastifyInstance, options: RoutingOptions): Promise<void> {
  const { routes, cors, site } = options;
  const match = compileMatcher(routes);
  const trust = compileTrust(options.trustedProxies);
  app.decorateRequest('matched', null);
  app.decorateRequest('target', '/');
  app.decorateRequest('isPublic', false);
  app.addHook('onRequest', (request, reply, done) => {
    const { path, host } = readTarget(request.originalUrl);
    request.target = path;
    const fault = faultOf(request.raw) ?? faultOfTarget(path, host);
    if (fault !== null) {
      done(new TollgateError(fault));
      return;
    }
    // The host of an absolute target goes before the field (RFC 9112 §3.2.2).
    if (host !== null) request.raw.headers.host = host;
    const asked = isPreflight(request.method, request.headers)
      ? String(request.headers['access-control-request-method'])
      : null;
    const found = match(asked ?? request.method, path);
    if (found.kind === 'refused') {
      done(new TollgateError(found.code, found.allow === null ? {} : { allow: found.allow }));
      return;
    }
    if (found.kind === 'route') {
      const refusal = refusalAt(site, trust, request);
      if (refusal !== null) {
        done(new TollgateError(refusal));
        return;
      }
      request.matched = found.route;
      request.isPublic = asked !== null || found.route.auth === 'none';
      if (asked !== null && cors !== null) {
        reply.code(204).headers({ 'x-request-id': request.id, 'cache-control': 'no-store' });
        reply.headers(preflightFields(cors, request.headers, found.route.methods)).send();
        return;
      }
    }
    done();
  });
}

/** Why a call gets no upstream, whatever its route, or null: scripts of upstreams stay away from the pages of sign-in. */
function refusalAt({ isPortalHost, isShared }: Site, trust: Trust, { raw }: FastifyRequest): ErrorCode | null {
  if (isPortalHost !== null) {
    const { forwardedHost } = readPeer(trust, raw.socket.remoteAddress, raw.headers, hostOf(raw));
    if (forwardedHost !== null && isPortalHost(forwardedHost)) return 'TG_ROUTE_NOT_FOUND';
  }
  // Browsers send it with the script of a worker and with nothing else.
  return isShared && raw.headers['service-worker'] !== undefined ? 'TG_SERVICE_WORKER_REFUSED' : null;
}

function faultOfTarget(path: string, host: string | null): ErrorCode | null {
  if (path.length > targetBytesMax) return 'TG_URL_TOO_LONG';
  return host === null || (host !== '' && isHost(host)) ? null : 'TG_REQUEST_MALFORMED';
}
