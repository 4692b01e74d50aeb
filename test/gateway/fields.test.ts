import t from 'tap';
import {
  type AnswerFacts,
  acceptsTrailers,
  answerFields,
  type CallerFacts,
  type ClientRequest,
  compileFieldRules,
  passingFields,
  requestFields,
} from '../../src/gateway/fields.ts';
import { compileTrust } from '../../src/gateway/peer.ts';
import { createTraceparent, isTraceparent } from '../../src/gateway/trace.ts';
import { plainSite, sampleRoute, sampleUpstream } from './sample-routes.ts';

const upstream = sampleUpstream('http://api.example:4000/base');
const rules = compileFieldRules(sampleRoute('/'), upstream, null, plainSite);
const keyCaller: CallerFacts = { requestId: 'r1', userId: 'u1', credentialField: 'authorization' };
const nobody: CallerFacts = { requestId: 'r1', userId: null, credentialField: null };

/** A request as node:http would present these fields. */
function requestWith(rawHeaders: string[], differences: Partial<ClientRequest> = {}): ClientRequest {
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const key = (rawHeaders[i] ?? '').toLowerCase();
    const value = rawHeaders[i + 1] ?? '';
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
  }
  return { rawHeaders, headers, httpVersion: '1.1', socket: { remoteAddress: '::ffff:192.0.2.7' }, ...differences };
}

/** `Name: value` lines of what is sent for these client fields. */
function sent(rawHeaders: string[], caller = nobody, given = rules): string[] {
  const fields = requestFields(requestWith(rawHeaders), given, caller);
  return fields.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${fields[i + 1]}`] : []));
}

t.test('end-to-end fields go on as sent, repeated ones and their order included', (t) => {
  const lines = sent([
    'Accept',
    'a',
    'X-Many',
    '1',
    'Cookie',
    'a=b',
    'x-many',
    '2',
    'Content-Length',
    '3',
    'Via',
    '1.0 x',
  ]);
  t.strictSame(lines.slice(0, 6), [
    'Accept: a',
    'X-Many: 1',
    'Cookie: a=b',
    'x-many: 2',
    'Content-Length: 3',
    'Via: 1.0 x',
  ]);
  t.end();
});

t.test('the gateway says who calls, whence and by which way', (t) => {
  const lines = sent(['Host', 'gate.example:8080'], keyCaller);
  t.strictSame(lines.slice(0, -1), [
    'Host: api.example:4000',
    'X-Tollgate-User: u1',
    'X-Request-Id: r1',
    'X-Forwarded-For: 192.0.2.7',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: gate.example:8080',
    'Forwarded: for=192.0.2.7;host="gate.example:8080";proto=http',
    'Via: 1.1 tollgate',
  ]);
  t.ok(isTraceparent(lines.at(-1)?.replace('traceparent: ', '')));
  t.end();
});

t.test('an IPv6 caller is quoted, a host with quotes is escaped, HTTP/1.0 is named', (t) => {
  const request = requestWith(['Host', 'a"\\b'], { httpVersion: '1.0', socket: { remoteAddress: '2001:db8::1' } });
  const fields = requestFields(request, rules, nobody);
  t.ok(fields.includes('for="[2001:db8::1]";host="a\\"\\\\b";proto=http'));
  t.ok(fields.includes('1.0 tollgate'));
  t.end();
});

t.test('fields of one connection and those that Connection names stay behind', (t) => {
  const lines = sent([
    ...['Connection', 'close, X-Hop', 'X-Hop', '1', 'Keep-Alive', 'timeout=5', 'TE', 'trailers', 'Trailer', 'x'],
    ...[
      'Transfer-Encoding',
      'chunked',
      'Upgrade',
      'h2c',
      'Expect',
      '100-continue',
      'Proxy-Authorization',
      'x',
      'A',
      'b',
    ],
  ]);
  t.equal(lines[0], 'A: b');
  t.equal(lines.length, 1 + sent([]).length);
  t.end();
});

t.test('Connection cannot take away what the gateway adds', (t) => {
  const lines = sent(['Connection', 'X-Tollgate-User, X-Forwarded-For, Host, Via'], keyCaller);
  for (const line of ['X-Tollgate-User: u1', 'X-Forwarded-For: 192.0.2.7', 'Via: 1.1 tollgate'])
    t.ok(lines.includes(line));
  t.end();
});

t.test('what only the gateway may say is taken from the client, however it is spelt', (t) => {
  const forged = [
    ...[
      'X-Tollgate-User',
      'x_tollgate_user',
      'X-CREDITS-COST',
      'x_credits-remaining',
      'X-Forwarded-For',
      'x_forwarded_for',
    ],
    ...['X-Forwarded-Whatever', 'Forwarded', 'X-Request-Id', 'X_Request_Id', 'X-HTTP-Method', 'X-HTTP-Method-Override'],
    ...['X_HTTP_Method_Override', 'X-Method-Override', 'X-Original-URL', 'X-Rewrite-URL', 'x_rewrite_url'],
  ];
  for (const name of forged)
    t.notOk(
      sent([name, 'forged']).some((line) => line.includes('forged')),
      name,
    );
  t.end();
});

t.test(
  'what a trusted proxy says of the way goes on, in its own spelling, and joined with what the gateway adds',
  (t) => {
    const claims = ['X-Forwarded-For', '203.0.113.9', 'X_Forwarded_For', 'forged', 'X-Forwarded-Proto', 'https'];
    const others = ['X-Forwarded-Port', '443', 'X_Forwarded_Port', 'forged', 'X-Forwarded-Prefix', '/shop'];
    const trusting = compileFieldRules(sampleRoute('/'), upstream, compileTrust(['192.0.2.0/24']), plainSite);
    t.strictSame(sent([...claims, ...others, 'X-Forwarded-Host', 'shop.example'], nobody, trusting).slice(0, -2), [
      'X-Forwarded-Port: 443',
      'X-Forwarded-Prefix: /shop',
      'Host: api.example:4000',
      'X-Request-Id: r1',
      'X-Forwarded-For: 203.0.113.9, 192.0.2.7',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: shop.example',
      'Forwarded: for=203.0.113.9;host="shop.example";proto=https, for=192.0.2.7',
    ]);
    t.end();
  },
);

t.test('the credential used and every other API key stay behind, other credentials go on', (t) => {
  const used = sent(['Authorization', 'Bearer jwt.jwt.jwt', 'authorization', 'again', 'X-Other', 'kept'], keyCaller);
  t.equal(used[0], 'X-Other: kept');
  const keys = ['tg_abc', 'Bearer tg_abc', 'bearer  tg_abc', 'BEARER tg_abc'];
  for (const value of keys)
    t.notOk(
      sent(['X-Anything', value], nobody).some((line) => line.includes('tg_')),
      value,
    );
  const basic = { ...keyCaller, credentialField: 'x-api-key' };
  const lines = sent(['Authorization', 'Basic dTpw', 'X-Api-Key', 'tg_abc'], basic);
  t.equal(lines[0], 'Authorization: Basic dTpw');
  t.equal(lines.length, 1 + sent([], basic).length);
  t.end();
});

t.test("of the cookies a caller sends, all but the gateway's go on, byte for byte", (t) => {
  const cookiesOf = (...fields: string[]) =>
    sent(fields.flatMap((field) => ['Cookie', field])).filter((line) => /^cookie:/i.test(line));
  t.strictSame(cookiesOf(' b=2;  a="1" ;c'), ['Cookie:  b=2;  a="1" ;c']);
  t.strictSame(cookiesOf('b=2; __Host-tollgate_session=x;  a=1'), ['Cookie: b=2;  a=1']);
  t.strictSame(cookiesOf('tollgate_session=x'), [], 'nor an empty field');
  t.strictSame(cookiesOf('b=2', 'Tollgate_session=x; a=1', '__Host-tollgate_session=x'), [
    'Cookie: b=2',
    'Cookie: a=1',
  ]);
  t.end();
});

t.test('a valid trace goes on, a broken one is replaced with what depends on it', (t) => {
  const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  t.strictSame(sent(['traceparent', parent, 'tracestate', 'a=b']).slice(0, 2), [
    `traceparent: ${parent}`,
    'tracestate: a=b',
  ]);
  const broken = sent(['tracestate', 'a=b', 'traceparent', 'nonsense']);
  t.equal(broken.filter((line) => line.startsWith('trace')).length, 1);
  t.notOk(broken.includes('traceparent: nonsense'));
  const invalid = [
    parent.replace('00-', 'ff-'),
    `${parent}-x`,
    parent.toUpperCase(),
    `${parent}, ${parent}`,
    undefined,
    [parent],
  ];
  for (const value of invalid) t.notOk(isTraceparent(value), String(value));
  t.notOk(isTraceparent(`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`));
  t.notOk(isTraceparent(`00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`));
  t.ok(isTraceparent(parent.replace('00-', '01-')));
  const many = new Set(Array.from({ length: 1000 }, createTraceparent));
  t.equal(many.size, 1000, 'no two are alike');
  t.ok([...many].every(isTraceparent));
  t.end();
});

t.test("Host is the client's where the upstream wants it", (t) => {
  const preserving = compileFieldRules(sampleRoute('/'), { ...upstream, preserveHost: true }, null, plainSite);
  t.ok(sent(['Host', 'gate.example'], nobody, preserving).includes('Host: gate.example'));
  t.ok(sent([], nobody, preserving).includes('Host: api.example:4000'), 'or its own, where the client named none');
  t.end();
});

t.test('rules of a route remove and set fields, also those of the gateway', (t) => {
  const set = { Authorization: 'Basic c2VjcmV0', 'X-Forwarded-Proto': 'https' };
  const headers = { request: { set, remove: ['cookie', 'via'] }, response: { set: {}, remove: [] } };
  const given = compileFieldRules(sampleRoute('/', { headers }), upstream, null, plainSite);
  const lines = sent(['Cookie', 'a', 'Via', '1.1 x', 'Authorization', 'Bearer tg_x', 'A', 'b'], keyCaller, given);
  t.equal(lines[0], 'A: b');
  t.strictSame(lines.slice(-2), ['Authorization: Basic c2VjcmV0', 'X-Forwarded-Proto: https']);
  t.notOk(lines.some((line) => line.startsWith('Via') || line === 'X-Forwarded-Proto: http'));
  t.end();
});

const metered: AnswerFacts = { requestId: 'r1', clientHost: 'gate', credits: { cost: 3, remaining: 7 } };
const free: AnswerFacts = { requestId: 'r1', clientHost: 'gate', credits: null };
const names = ['authorization', 'x-api-key'];
/** Fields as they are read: a space between name and value stands for where the one ends. */
const raw = (...lines: string[]) =>
  lines.flatMap((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]);
const shown = (fields: readonly string[]) =>
  fields.flatMap((name, i) => (i % 2 === 0 ? [`${name} ${fields[i + 1]}`] : []));
const answer = (lines: string[], given = rules) => shown(answerFields(raw(...lines), given, names, metered));
const added = ['X-Request-Id r1', 'X-Credits-Cost 3', 'X-Credits-Remaining 7'];
const addedForCaches = ['Vary authorization, x-api-key', 'Cache-Control private'];

t.test("the answer's fields come as sent, with credits, request id and cache rules added", (t) => {
  const sent = ['Content-Type text/plain', 'Set-Cookie a=1', 'X-oDD \xe9', 'Set-Cookie b=2', 'etag "x"', '__proto__ x'];
  t.strictSame(answer(sent), [...sent, ...added, ...addedForCaches]);
  t.end();
});

t.test('a public route adds nothing but the request id', (t) => {
  t.strictSame(answerFields(['A', 'b'], rules, null, free), ['A', 'b', 'X-Request-Id', 'r1']);
  t.end();
});

t.test('what the upstream says about caches is kept', (t) => {
  t.strictSame(answer(['Cache-Control public, max-age=60']), [
    'Cache-Control public, max-age=60',
    ...added,
    'Vary authorization, x-api-key',
  ]);
  const variants = {
    Accept: 'Vary Accept, authorization, x-api-key',
    '*': 'Vary *',
    'Authorization, X-Api-Key': 'Vary Authorization, X-Api-Key',
  };
  for (const [sent, expected] of Object.entries(variants)) {
    t.strictSame(answer([`Vary ${sent}`]), [expected, ...added, 'Cache-Control private']);
  }
  t.strictSame(
    answer(['Vary Accept', 'Content-Disposition a', 'vary X-API-Key']),
    ['Content-Disposition a', 'Vary Accept', 'vary X-API-Key, authorization', ...added, 'Cache-Control private'],
    'over several lines',
  );
  t.end();
});

t.test('fields of one connection, and what only the gateway may say, do not come through', (t) => {
  const dropped = [
    ...['Connection close, x-hop', 'X-Hop 1', 'Keep-Alive timeout=5', 'Transfer-Encoding chunked', 'Trailer x'],
    ...['Upgrade h2c', 'TE x', 'Proxy-Authenticate x', 'Proxy-Connection x', 'X-Credits-Left 9', 'X-Request-Id 9'],
    ...['X-Tollgate-Error x', 'X-Credits-Cost 0', 'x_credits_cost 9', 'X_Tollgate-Error x'],
  ];
  t.strictSame(answer([...dropped, 'A b']), answer(['A b']));
  t.end();
});

t.test('an upstream plants no cookie of the gateway, in no part of its answer', (t) => {
  const own = [
    'Set-Cookie __Host-tollgate_session=x; Path=/',
    'set-cookie =Tollgate_session=x',
    'SET-COOKIE tollgate_x',
  ];
  const others = ['Set-Cookie b=2', 'set-cookie a="tollgate_session=x"; Path=/tollgate_', 'Set-Cookie tollgate=1'];
  t.strictSame(answer([...own, ...others, ...own]), answer(others));
  t.strictSame(shown(passingFields(raw(...own, ...others), rules)), others);
  t.end();
});

t.test('locations at the upstream are mapped back, others kept', (t) => {
  t.match(answer(['Location http://api.example:4000/base/a']), ['Location /a']);
  t.match(answer(['Content-Location /base/a']), ['Content-Location /a']);
  t.match(answer(['location https://elsewhere.example/']), ['location https://elsewhere.example/']);
  t.end();
});

t.test('mapped locations begin with what a proxy in front takes away', (t) => {
  const prefixed = compileFieldRules(sampleRoute('/'), upstream, null, { ...plainSite, prefix: '/gw' });
  t.match(answer(['Location http://api.example:4000/base/a'], prefixed), ['Location /gw/a']);
  t.match(answer(['content-location /base/a'], prefixed), ['content-location /gw/a']);
  t.match(answer(['Location https://elsewhere.example/'], prefixed), ['Location https://elsewhere.example/']);
  t.end();
});

t.test('rules of a route remove and set fields of the answer', (t) => {
  const response = { set: { 'cache-control': 'no-cache', 'x-new': '1' }, remove: ['server'] };
  const headers = { request: { set: {}, remove: [] }, response };
  const changed = compileFieldRules(sampleRoute('/', { headers }), upstream, null, plainSite);
  t.strictSame(answer(['Server x', 'Cache-Control public'], changed), [
    'cache-control no-cache',
    'x-new 1',
    ...added,
    'Vary authorization, x-api-key',
  ]);
  t.end();
});

t.test('callers are told apart by shared caches whatever a route does to Vary', (t) => {
  const varyWith = (response: { set: Record<string, string>; remove: string[] }) => {
    const headers = { request: { set: {}, remove: [] }, response };
    const fields = answer(
      ['Vary Authorization'],
      compileFieldRules(sampleRoute('/', { headers }), upstream, null, plainSite),
    );
    return fields.filter((field) => /^vary /i.test(field));
  };
  t.strictSame(varyWith({ set: {}, remove: ['vary'] }), ['Vary authorization, x-api-key']);
  t.strictSame(varyWith({ set: { vary: 'Accept' }, remove: [] }), ['vary Accept, authorization, x-api-key']);
  t.strictSame(varyWith({ set: { vary: '*' }, remove: [] }), ['vary *']);
  t.end();
});

t.test('a request id that a route sets stands in for ours', (t) => {
  const headers = { request: { set: {}, remove: [] }, response: { set: { 'x-request-id': 'mine' }, remove: [] } };
  const fields = answer([], compileFieldRules(sampleRoute('/', { headers }), upstream, null, plainSite));
  t.strictSame(
    fields.filter((field) => /^x-request-id /i.test(field)),
    ['x-request-id mine'],
  );
  t.end();
});

t.test('interim answers and trailers keep what is for the caller', (t) => {
  const fields = ['Link', '</a>', 'Connection', 'x', 'X-Credits-Cost', '0', 'Server', 'x'];
  const response = { set: {}, remove: ['server'] };
  const rules = compileFieldRules(
    sampleRoute('/', { headers: { request: response, response } }),
    upstream,
    null,
    plainSite,
  );
  t.strictSame(passingFields(fields, rules), ['Link', '</a>']);
  for (const te of ['trailers', 'gzip, Trailers;q=1']) t.ok(acceptsTrailers({ headers: { te } }), te);
  for (const te of ['', 'gzip', 'notrailers']) t.notOk(acceptsTrailers({ headers: { te } }), te);
  t.end();
});
