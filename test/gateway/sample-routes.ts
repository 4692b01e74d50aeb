// Routes and upstreams as the configuration would hand them over, for the tests of the gateway.

import type { Route, Upstream } from '../../src/config/config.ts';
import type { Site } from '../../src/gateway/site.ts';

/** A route on `path`, named by its methods and path, with whatever differs from a free-for-all metered one. */
export function sampleRoute(path: string, differences: Partial<Route> = {}): Route {
  const { methods = null } = differences;
  return {
    name: methods === null ? path : `${methods.join(',')} ${path}`,
    path,
    exact: false,
    methods: null,
    upstream: 'api',
    rewritePrefix: null,
    cost: 1,
    auth: ['key', 'bearer'],
    scopes: [],
    maxBodySize: null,
    readTimeout: 2_000,
    headers: { request: { set: {}, remove: [] }, response: { set: {}, remove: [] } },
    ...differences,
  };
}

/** Where nobody has said what browsers see. */
export const plainSite: Site = { prefix: '', isPortalHost: null, isShared: false };

/** The upstream `api` at `url`, with short limits. */
export function sampleUpstream(url: string, differences: Partial<Upstream> = {}): Upstream {
  return {
    name: 'api',
    url,
    preserveHost: false,
    connectTimeout: 2_000,
    responseHeaderTimeout: 2_000,
    readTimeout: 2_000,
    tls: { ca: null, insecureSkipVerify: false },
    ...differences,
  };
}
