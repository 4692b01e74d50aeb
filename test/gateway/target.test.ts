import t from 'tap';
import type { Route, Upstream } from '../../src/config/config.ts';
import { compileMatcher } from '../../src/gateway/matching.ts';
import { explain, locationOf, targetOf } from '../../src/gateway/target.ts';
import { sampleRoute, sampleUpstream } from './sample-routes.ts';

const plain = sampleUpstream('http://127.0.0.1:4000');
const based = sampleUpstream('https://api.example/base');

t.test('the path goes on byte for byte, after the base path and with its prefix exchanged', (t) => {
  const route = sampleRoute('/v1', { rewritePrefix: '/v2' });
  const cut = sampleRoute('/v1', { rewritePrefix: '/' });
  const added = sampleRoute('/', { rewritePrefix: '/deep/er' });
  const exact = sampleRoute('/old', { exact: true, rewritePrefix: '/new/' });
  t.equal(targetOf(sampleRoute('/v1'), plain, '/v1/a%2Fb//c;d?q=%20+#x'), '/v1/a%2Fb//c;d?q=%20+#x');
  t.equal(targetOf(sampleRoute('/v1'), based, '/v1/a?b'), '/base/v1/a?b');
  t.equal(targetOf(sampleRoute('/'), based, '/'), '/base/');
  t.equal(targetOf(route, plain, '/v1'), '/v2');
  t.equal(targetOf(route, plain, '/v1/'), '/v2/');
  t.equal(targetOf(route, plain, '/v1?a=/v1'), '/v2?a=/v1');
  t.equal(targetOf(route, based, '/v1/x%41'), '/base/v2/x%41');
  t.equal(targetOf(cut, plain, '/v1'), '/');
  t.equal(targetOf(cut, plain, '/v1?a'), '/?a');
  t.equal(targetOf(cut, plain, '/v1/a'), '/a');
  t.equal(targetOf(cut, based, '/v1?a'), '/base?a');
  t.equal(targetOf(added, plain, '/a/b'), '/deep/er/a/b');
  t.equal(targetOf(exact, plain, '/old?a'), '/new/?a');
  t.end();
});

/** What the client gets to see, without a proxy in front. */
const mapped = (route: Route, upstream: Upstream, location: string, clientHost: string | null) =>
  locationOf({ route, upstream, prefix: '' }, location, clientHost);

t.test('a location at the upstream is mapped back to where the client finds it', (t) => {
  const route = sampleRoute('/v1', { rewritePrefix: '/v2' });
  const cut = sampleRoute('/v1', { rewritePrefix: '/' });
  const exact = sampleRoute('/old', { exact: true, rewritePrefix: '/new' });
  t.equal(mapped(sampleRoute('/'), plain, 'http://127.0.0.1:4000/a?b#c', null), '/a?b#c');
  t.equal(mapped(sampleRoute('/'), plain, 'HTTP://127.0.0.1:4000', null), '/');
  t.equal(mapped(sampleRoute('/'), plain, 'http://127.0.0.1:4000?a', null), '/?a');
  t.equal(mapped(sampleRoute('/'), plain, '/a', null), '/a');
  for (const path of ['//evil.example/x', '/\\evil.example/x']) {
    t.equal(mapped(sampleRoute('/'), plain, `http://127.0.0.1:4000${path}`, null), `/.${path}`, 'no other host');
    t.equal(mapped(sampleRoute('/'), based, `/base${path}`, null), `/.${path}`);
  }
  t.equal(mapped(sampleRoute('/'), based, 'https://API.example:443/base/a', null), '/a');
  t.equal(mapped(sampleRoute('/'), based, '//api.example/base/a', null), '/a');
  t.equal(mapped(sampleRoute('/'), based, '/base', null), '/');
  t.equal(mapped(route, plain, '/v2/a', null), '/v1/a');
  t.equal(mapped(route, plain, '/v2', null), '/v1');
  t.equal(mapped(route, based, 'https://api.example/base/v2/a', null), '/v1/a');
  t.equal(mapped(cut, plain, '/a', null), '/v1/a');
  t.equal(mapped(exact, plain, '/new?a', null), '/old?a');
  t.end();
});

t.test('a location elsewhere, or where no route leads back, stays as it is', (t) => {
  const route = sampleRoute('/v1', { rewritePrefix: '/v2' });
  const exact = sampleRoute('/old', { exact: true, rewritePrefix: '/new' });
  for (const location of [
    'http://127.0.0.1:4001/a',
    'https://127.0.0.1:4000/a',
    '//127.0.0.1:4001/a',
    'a/b',
    '?x',
    '',
  ]) {
    t.equal(mapped(sampleRoute('/'), plain, location, null), location, location);
  }
  t.equal(mapped(route, plain, '/v20/a', null), '/v20/a');
  t.equal(mapped(exact, plain, '/new/a', null), '/new/a');
  t.equal(mapped(sampleRoute('/'), based, '/elsewhere', null), '/elsewhere');
  t.equal(mapped(sampleRoute('/'), plain, 'http://[bad', null), 'http://[bad');
  t.end();
});

t.test('a mapped location begins with what a proxy in front takes away, and nothing else does', (t) => {
  const behindProxy = (route: Route, upstream: Upstream, location: string) =>
    locationOf({ route, upstream, prefix: '/gw' }, location, null);
  const root = sampleRoute('/');
  const route = sampleRoute('/v1', { rewritePrefix: '/v2' });
  t.equal(behindProxy(root, plain, '/a?b#c'), '/gw/a?b#c');
  t.equal(behindProxy(root, plain, '/'), '/gw/');
  t.equal(behindProxy(root, plain, 'http://127.0.0.1:4000'), '/gw/');
  t.equal(behindProxy(root, plain, 'http://127.0.0.1:4000?a'), '/gw/?a');
  t.equal(behindProxy(root, plain, '//127.0.0.1:4000/a'), '/gw/a');
  t.equal(behindProxy(root, based, 'https://api.example/base?a'), '/gw/?a');
  t.equal(behindProxy(route, plain, '/v2/a'), '/gw/v1/a');
  t.equal(behindProxy(root, plain, '/gw/a'), '/gw/gw/a', 'the upstream has a path of that name');
  t.equal(behindProxy(root, plain, 'http://127.0.0.1:4000//evil.example/x'), '/gw//evil.example/x', 'no other host');
  for (const location of [
    'https://elsewhere.example/a',
    '//elsewhere.example/a',
    'a/b',
    './a',
    '../a',
    '?a',
    '#a',
    '',
  ]) {
    t.equal(behindProxy(root, plain, location), location, location);
  }
  t.equal(behindProxy(route, plain, '/elsewhere'), '/elsewhere', 'no route leads there');
  t.equal(behindProxy(root, based, '/elsewhere'), '/elsewhere');
  t.end();
});

t.test('where the upstream is told the host of the client, a location at that host is mapped too', (t) => {
  const upstream = sampleUpstream('http://127.0.0.1:4000/base', { preserveHost: true });
  t.equal(mapped(sampleRoute('/'), upstream, 'https://gate.example/base/a', 'gate.example'), '/a');
  t.equal(
    mapped(sampleRoute('/'), upstream, 'https://other.example/base/a', 'gate.example'),
    'https://other.example/base/a',
  );
  t.end();
});

t.test('a call can be explained without making it', (t) => {
  const routes = [sampleRoute('/search', { rewritePrefix: '/v2/search', methods: ['GET'] })];
  const match = compileMatcher(routes);
  const explainCall = (method: string, target: string) => explain(match, { api: based }, method, target);
  t.match(explainCall('GET', '/search/x?y'), { kind: 'forwarded', url: 'https://api.example/base/v2/search/x?y' });
  t.match(explainCall('POST', '/search'), { kind: 'refused', code: 'TG_METHOD_NOT_ALLOWED', allow: 'GET, HEAD' });
  t.match(explainCall('GET', '/_tollgate/x'), { kind: 'reserved' });
  t.end();
});
