import t from 'tap';
import type { Cors } from '../../src/config/config.ts';
import { corsFields, isPreflight, preflightFields, withCors } from '../../src/gateway/cors.ts';

const app = 'https://app.example.com';
const listed: Cors = { origins: [app, 'http://localhost:3000'], headers: ['*'], maxAgeSeconds: 600 };
const anyone: Cors = { ...listed, origins: '*' };
const preflight = { origin: app, 'access-control-request-method': 'PATCH' };
const vary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';
const exposed =
  'X-Credits-Cost, X-Credits-Remaining, X-Credits-Required, X-Request-Id, X-Tollgate-Error, Retry-After, Link, ' +
  'WWW-Authenticate, Location';

t.test('a preflight is an OPTIONS with an origin and the method that is asked for, nothing else', async (t) => {
  t.ok(isPreflight('OPTIONS', preflight));
  t.notOk(isPreflight('GET', preflight));
  t.notOk(isPreflight('OPTIONS', { origin: app }));
  t.notOk(isPreflight('OPTIONS', { 'access-control-request-method': 'PATCH' }));
});

t.test('a listed origin is told what the path takes, and for how long that holds', async (t) => {
  t.same(preflightFields(listed, preflight, ['GET', 'HEAD', 'POST']), {
    'Access-Control-Allow-Origin': app,
    'Access-Control-Allow-Methods': 'GET, HEAD, POST',
    'Access-Control-Allow-Headers': '*, authorization',
    'Access-Control-Max-Age': '600',
    Vary: vary,
  });
});

t.test('where a path takes all methods, the one that is asked for is allowed', async (t) => {
  const methodsFor = (method: string) =>
    preflightFields(listed, { ...preflight, 'access-control-request-method': method }, null)[
      'Access-Control-Allow-Methods'
    ];
  t.equal(methodsFor('PATCH'), 'PATCH');
  t.equal(methodsFor('QUERY'), 'QUERY');
  for (const wrong of ['', 'A B', 'A, B', 'A\u0000', 'A'.repeat(65)]) t.equal(methodsFor(wrong), undefined);
});

t.test('an origin that is not listed gets no permission, and no reason', async (t) => {
  const others = ['https://evil.example', 'null', `${app}.evil.example`, `${app}:8443`, `${app}, ${app}`, '', '*'];
  for (const origin of others) {
    t.same(preflightFields(listed, { ...preflight, origin }, null), { Vary: vary }, origin);
    t.same(corsFields(listed, origin), { Vary: 'Origin' }, origin);
  }
});

t.test('where any origin may call, all are told the same', async (t) => {
  for (const origin of [app, 'null', 'https://evil.example']) {
    t.match(preflightFields(anyone, { ...preflight, origin }, null), { 'Access-Control-Allow-Origin': '*' });
    t.same(corsFields(anyone, origin), {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Expose-Headers': exposed,
    });
  }
});

t.test(
  'the fields that scripts may send are those of the configuration, with the one that * does not cover',
  async (t) => {
    const allowed = (headers: readonly string[]) =>
      preflightFields({ ...listed, headers }, preflight, null)['Access-Control-Allow-Headers'];
    t.equal(allowed(['content-type', 'x-api-key']), 'content-type, x-api-key');
    t.equal(allowed(['authorization', '*']), 'authorization, *');
    t.equal(allowed([]), undefined);
  },
);

t.test("the gateway's own answers can be read by listed origins, and are kept apart in caches", async (t) => {
  t.same(corsFields(listed, app), {
    'Access-Control-Allow-Origin': app,
    'Access-Control-Expose-Headers': exposed,
    Vary: 'Origin',
  });
  t.same(corsFields(listed, undefined), { Vary: 'Origin' }, 'also when no script asks');
});

t.test("the gateway's word on origins replaces the upstream's, whoever asks", async (t) => {
  const upstream = ['ACCESS-CONTROL-ALLOW-ORIGIN', '*', 'access-control-allow-credentials', 'true', 'ETag', '"x"'];
  t.same(withCors(upstream, listed, app), [
    ...['ETag', '"x"', 'Access-Control-Allow-Origin', app],
    ...['Access-Control-Expose-Headers', exposed, 'Vary', 'Origin'],
  ]);
  t.same(withCors(upstream, listed, 'https://evil.example'), ['ETag', '"x"', 'Vary', 'Origin']);
  t.same(withCors(upstream, listed, undefined), ['ETag', '"x"', 'Vary', 'Origin']);
});

t.test('credentials of the browser are never allowed', async (t) => {
  for (const cors of [listed, anyone]) {
    const all = [preflightFields(cors, preflight, null), corsFields(cors, app)].flatMap((fields) =>
      Object.keys(fields),
    );
    t.notOk(all.some((name) => /credentials/i.test(name)));
  }
});

t.test('what the upstream exposes and varies by is kept and added to, each name once', async (t) => {
  const upstream = [
    ...['Vary', 'Accept-Encoding', 'access-control-expose-headers', 'X-Total, x-request-id', 'vary', 'Accept'],
    ...['Access-Control-Max-Age', '5', 'X-Many', '1', 'X-Many', '2'],
  ];
  t.same(withCors(upstream, listed, app), [
    ...['Vary', 'Accept-Encoding', 'access-control-expose-headers'],
    `X-Total, x-request-id, ${exposed.replace(' X-Request-Id,', '')}`,
    ...['vary', 'Accept, Origin', 'Access-Control-Max-Age', '5', 'X-Many', '1', 'X-Many', '2'],
    ...['Access-Control-Allow-Origin', app],
  ]);
});

t.test('an upstream that varies by all or exposes all is not added to', async (t) => {
  const upstream = ['Vary', '*', 'Access-Control-Expose-Headers', '*'];
  t.same(withCors(upstream, listed, app), [...upstream, 'Access-Control-Allow-Origin', app]);
  t.same(withCors(['Vary', 'accept, origin'], listed, undefined), ['Vary', 'accept, origin']);
});
