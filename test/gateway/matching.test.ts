import t from 'tap';
import type { Route } from '../../src/config/config.ts';
import { compileMatcher } from '../../src/gateway/matching.ts';
import { sampleRoute } from './sample-routes.ts';

/** What a matcher of these routes makes of a call, in a few words: the route's name, or the code (and `Allow`). */
function explainer(routes: readonly Route[]): (method: string, target: string) => string {
  const match = compileMatcher(routes);
  return (method, target) => {
    const found = match(method, target);
    if (found.kind === 'route') return found.route.name;
    if (found.kind === 'reserved') return 'reserved';
    return found.allow === null ? found.code : `${found.code} ${found.allow}`;
  };
}

t.test('the longest path on segment boundaries decides', (t) => {
  const routeOf = explainer([
    sampleRoute('/'),
    sampleRoute('/v1'),
    sampleRoute('/v1/chat'),
    sampleRoute('/exact', { exact: true }),
    sampleRoute('/slash/', { exact: true }),
  ]);
  const cases: Record<string, string> = {
    '/': '/',
    '/?a=/v1': '/',
    '/v': '/',
    '/v1': '/v1',
    '/v1/': '/v1',
    '/v1?x': '/v1',
    '/v10': '/',
    '/v1/chats': '/v1',
    '/v1/chat': '/v1/chat',
    '/v1/chat/a/b/c': '/v1/chat',
    '/exact': '/exact',
    '/exact/': '/',
    '/exact/x': '/',
    '/slash': '/',
    '/slash/': '/slash/',
  };
  for (const [target, route] of Object.entries(cases)) t.equal(routeOf('GET', target), route, target);
  t.end();
});

t.test('of the routes of a path the one that lists the method wins, then the one without a list', (t) => {
  const routeOf = explainer([
    sampleRoute('/v1'),
    sampleRoute('/v1', { methods: ['POST'] }),
    sampleRoute('/read', { methods: ['GET'] }),
    sampleRoute('/both', { methods: ['GET'] }),
    sampleRoute('/both', { methods: ['HEAD', 'PUT'] }),
  ]);
  t.equal(routeOf('POST', '/v1'), 'POST /v1');
  t.equal(routeOf('GET', '/v1'), '/v1');
  t.equal(routeOf('HEAD', '/read'), 'GET /read', 'HEAD follows GET');
  t.equal(routeOf('HEAD', '/both'), 'HEAD,PUT /both', 'unless a route lists HEAD');
  t.end();
});

t.test('a method that the longest path does not take is refused, never passed to a shorter path', (t) => {
  const routeOf = explainer([sampleRoute('/'), sampleRoute('/read', { methods: ['GET', 'OPTIONS'] })]);
  t.equal(routeOf('POST', '/read/x'), 'TG_METHOD_NOT_ALLOWED GET, HEAD, OPTIONS');
  t.end();
});

t.test('an exact route goes before a prefix route of the same path', (t) => {
  const routeOf = explainer([
    sampleRoute('/v1', { name: 'prefix' }),
    sampleRoute('/v1', { exact: true, name: 'exact' }),
  ]);
  t.equal(routeOf('GET', '/v1'), 'exact');
  t.equal(routeOf('GET', '/v1/x'), 'prefix');
  t.end();
});

t.test('a path without a route is not found', (t) => {
  const routeOf = explainer([sampleRoute('/v1')]);
  for (const target of ['/', '/v2', '/V1', '//v1', '/%761'])
    t.equal(routeOf('GET', target), 'TG_ROUTE_NOT_FOUND', target);
  t.end();
});

t.test('no other reading of a path leads from a cheap route to a dear one', (t) => {
  const routeOf = explainer([
    sampleRoute('/'),
    sampleRoute('/dear', { cost: 100 }),
    sampleRoute('/all/x', { exact: true }),
  ]);
  const disguises = [
    ...['//dear', '/%64ear', '/%2564ear', '/%252564ear', '/DEAR', '/Dear/x', '/\\dear', '/dear%2Fx', '/dear%5Cx'],
    ...['/dear;v=1', '/dear;/x', '/;x/dear', '/dear%3Bx', '/%2Fdear', '/%2fdear', '/all//x', '/all/x;a/b', '/all/x;a'],
  ];
  for (const target of disguises) t.equal(routeOf('GET', target), 'TG_PATH_AMBIGUOUS', target);
  t.end();
});

t.test('dot segments, control characters and endless escapes are refused on every route', (t) => {
  const routeOf = explainer([sampleRoute('/')]);
  const refused = [
    ...[
      '/.',
      '/..',
      '/a/../b',
      '/a/./b',
      '/a/%2e%2E/b',
      '/a/%252e%252e/b',
      '/a/..;x/b',
      '/a\\..\\b',
      '/a/..%2fb',
      '/%2e',
    ],
    ...['/a%00', '/a%0d%0ab', '/a%7f', '/a%250a', `/%${'25'.repeat(20)}41`],
  ];
  for (const target of refused) t.equal(routeOf('GET', target), 'TG_PATH_AMBIGUOUS', target);
  t.end();
});

t.test('escapes, upper case and dots that lead nowhere else are let through', (t) => {
  const routeOf = explainer([sampleRoute('/'), sampleRoute('/projects')]);
  const harmless = [
    'a%2Fb',
    'AbC',
    '%C3%A9',
    '%E9',
    'a//b',
    'a;v=1',
    '.hidden',
    '...',
    'a..b',
    '%252F',
    '50%25',
    'a.b',
  ];
  for (const segment of harmless) t.equal(routeOf('GET', `/projects/${segment}`), '/projects', segment);
  t.equal(routeOf('GET', '/projects/x?y=/../%00%zz#;'), '/projects', 'a query is not read');
  t.end();
});

t.test('routes with upper case or escapes of their own are protected as well', (t) => {
  const routeOf = explainer([sampleRoute('/'), sampleRoute('/Dear'), sampleRoute('/caf%C3%A9')]);
  t.equal(routeOf('GET', '/Dear/x'), '/Dear');
  t.equal(routeOf('GET', '/dear/x'), 'TG_PATH_AMBIGUOUS');
  t.equal(routeOf('GET', '/caf%C3%A9/x'), '/caf%C3%A9');
  t.equal(routeOf('GET', '/caf%c3%a9/x'), 'TG_PATH_AMBIGUOUS');
  t.end();
});

t.test('routes that differ in case alone are told apart by case', (t) => {
  const routeOf = explainer([sampleRoute('/v1'), sampleRoute('/V1')]);
  t.equal(routeOf('GET', '/v1/x'), '/v1');
  t.equal(routeOf('GET', '/V1/x'), '/V1');
  t.end();
});

t.test('a target that is no path is malformed', (t) => {
  const routeOf = explainer([sampleRoute('/')]);
  for (const target of ['*', '', 'http://host/dear', 'host:443', '/a#b', '/%zz', '/100%', '/%4', '/%u0041']) {
    t.equal(routeOf('GET', target), 'TG_REQUEST_MALFORMED', target);
  }
  t.end();
});

t.test('the paths of the gateway itself belong to no route, however they are written', (t) => {
  const routeOf = explainer([sampleRoute('/')]);
  t.equal(routeOf('GET', '/_tollgate'), 'reserved');
  t.equal(routeOf('GET', '/_tollgate/api/session?x'), 'reserved');
  t.equal(routeOf('GET', '/_tollgates'), '/');
  for (const target of ['//_tollgate/api', '/%5ftollgate/api', '/_Tollgate', '/_tollgate;x/api', '/_tollgate%2fapi']) {
    t.equal(routeOf('GET', target), 'TG_PATH_AMBIGUOUS', target);
  }
  t.end();
});
