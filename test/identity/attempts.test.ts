import t from 'tap';
import { Attempts } from '../../src/identity/attempts.ts';
import { CookieJar } from '../helpers/cookie-jar.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { audience, startIdentityProvider } from '../helpers/identity-provider.ts';
import { until } from '../helpers/until.ts';
import { askAs, introduce, sessionIdIn, startVisitedGateway, tellingOf } from '../helpers/visitors.ts';

const route = '  - { path: /, upstream: api }';
const minuteMs = 60_000;

t.test('an address may try so often in a window, and then again in the next', async (t) => {
  const attempts = new Attempts({ max: 2, windowMs: 200 });
  t.same([attempts.take('192.0.2.1'), attempts.take('192.0.2.1')], [true, true]);
  t.equal(attempts.isAnyOver, false);
  t.equal(attempts.isOver('192.0.2.1'), false, 'as many as are fine');
  t.equal(attempts.take('192.0.2.1'), false);
  t.equal(attempts.isAnyOver, true);
  t.equal(attempts.isOver('192.0.2.1'), true);
  t.equal(attempts.retryAfterSeconds('192.0.2.1'), 1, 'in whole seconds, rounded up');
  t.equal(attempts.take('192.0.2.2'), true, 'nobody else is meant');
  t.equal(attempts.isOver('192.0.2.2'), false);
  await until(
    () => attempts.isOver('192.0.2.1'),
    (isOver) => !isOver,
  );
  t.equal(attempts.take('192.0.2.1'), true);
});

t.test('how long an address has to wait is what is left of its window', async (t) => {
  const attempts = new Attempts({ max: 1, windowMs: 2_000 });
  attempts.take('192.0.2.1');
  t.equal(attempts.retryAfterSeconds('192.0.2.1'), 2);
  t.equal(
    await until(
      () => attempts.retryAfterSeconds('192.0.2.1'),
      (seconds) => seconds !== 2,
    ),
    1,
  );
});

t.test('whoever goes on trying does not have to wait longer', async (t) => {
  const attempts = new Attempts({ max: 1, windowMs: 200 });
  t.equal(attempts.take('192.0.2.1'), true);
  await until(
    () => attempts.take('192.0.2.1'),
    (isFine) => isFine,
  );
});

t.test('the addresses of one IPv6 network are one, however they are written', async (t) => {
  const groups = [
    [
      '2001:db8:1:2::1',
      '2001:db8:1:2:ffff:ffff:ffff:ffff',
      '2001:db8:1:2:3::',
      '2001:0db8:0001:0002::9',
      '2001:DB8:1:2::',
    ],
    ['2001:db8:1:3::1', '2001:db8:1:3::2'],
    ['2001:db8::1', '2001:db8::ffff:1', '2001:db8:0:0:1::', '2001:db8:0:0:5:6:7:8'],
    ['2001:db8:0:1::1', '2001:db8:0:1::2'],
    ['::1', '0:0:0:0:0:0:0:2'],
    ['fe80::1%eth0', 'fe80::2%eth0'],
    ['192.0.2.1', '::ffff:192.0.2.1', '::ffff:c000:201'],
    ['192.0.2.2', '::ffff:192.0.2.2'],
    ['unknown'],
  ];
  for (const group of groups) {
    const attempts = new Attempts({ max: 1, windowMs: minuteMs });
    attempts.take(group[0] ?? '');
    for (const address of group) t.equal(attempts.take(address), false, address);
    for (const address of groups.flat()) t.equal(attempts.isOver(address), group.includes(address), address);
  }
});

t.test('the work of an address is done one after another, and that of others beside it', async (t) => {
  const attempts = new Attempts({ max: 1, windowMs: minuteMs });
  const done: string[] = [];
  const gates: (() => void)[] = [];
  const work = (name: string) => () =>
    new Promise<void>((resolve) => {
      done.push(name);
      gates.push(resolve);
    });
  const first = attempts.inTurn('192.0.2.1', work('first'));
  const second = attempts.inTurn('192.0.2.1', work('second'));
  const other = attempts.inTurn('192.0.2.2', work('other'));
  await until(
    () => done.length,
    (count) => count === 2,
  );
  t.same(done, ['first', 'other']);
  gates[0]?.();
  await first;
  await until(
    () => done.length,
    (count) => count === 3,
  );
  t.same(done, ['first', 'other', 'second']);
  for (const gate of gates) gate();
  await Promise.all([second, other]);
  await t.rejects(
    attempts.inTurn('192.0.2.1', () => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  t.equal(await attempts.inTurn('192.0.2.1', async () => 5), 5, 'what fails keeps nobody waiting');
});

t.test('where too much waits for its turn, more of it waits no longer', async (t) => {
  const attempts = new Attempts({ max: 1, windowMs: minuteMs });
  let open = () => {};
  const held = new Promise<void>((resolve) => {
    open = resolve;
  });
  const blocker = attempts.inTurn('192.0.2.1', () => held);
  const waiting = Array.from({ length: 99 }, () => attempts.inTurn('192.0.2.1', async () => {}));
  t.equal(await attempts.inTurn('192.0.2.1', async () => 'at once'), 'at once');
  open();
  await Promise.all([blocker, ...waiting]);
});

t.test('from an address that fails too often, failures are put off, and what is good is served', async (t) => {
  const issuer = await startIdentityProvider(t);
  const auth = `bearer: [{ issuer: "${issuer.issuer}", audience: "${audience}" }]`;
  const gate = await startVisitedGateway(t, 'sqlite', { auth, routes: route });
  const [warmKey, coldKey] = [await gate.newKey('u', 100), await gate.newKey('v', 100)];
  const [warmToken, coldToken] = [await issuer.accessToken(), await issuer.accessToken()];
  const warmSession = sessionIdIn(await gate.enter('ann'), gate.url);
  const coldSession = sessionIdIn(await gate.enter('bob'), gate.url);
  for (const credential of [warmKey, warmToken]) t.equal((await gate.call(credential)).status, 200);
  t.equal((await askAs(warmSession, gate)).status, 200);
  for (let i = 0; i < 100; i++) {
    const status = await failAt(gate, i);
    if (status !== 401) t.equal(status, 401, `failure ${i + 1}`);
  }
  t.same(await tellingOf(gate.call(null)), [401, 'TG_AUTH_MISSING'], 'to show nothing is no failure');
  for (let i = 0; i < 5; i++) t.equal(await failAt(gate, i), 429);
  const answer = await gate.call('nonsense');
  t.same(await tellingOf(answer), [429, 'TG_RATE_LIMITED']);
  t.equal(answer.headers.get('retry-after'), '60');
  for (const credential of [warmKey, coldKey, warmToken, coldToken]) t.equal((await gate.call(credential)).status, 200);
  for (const id of [warmSession, coldSession]) t.equal((await askAs(id, gate)).status, 200);
  t.equal(gate.upstream.seen.length, 9);
});

t.test('behind a trusted proxy, addresses are those that it tells of', async (t) => {
  const gate = await startTestGateway(t, 'sqlite', route, undefined, { server: 'trustedProxies: [127.0.0.1]' });
  const statusFrom = async (address: string) =>
    (await gate.call('nonsense', '/', { headers: { 'x-forwarded-for': address } })).status;
  for (let i = 0; i < 100; i++) await statusFrom('198.51.100.1');
  t.equal(await statusFrom('198.51.100.1'), 429);
  t.equal(await statusFrom('203.0.113.9, 198.51.100.1'), 429, 'what the client itself has written says nothing');
  t.equal(await statusFrom('198.51.100.2'), 401);
  t.equal((await gate.call('nonsense')).status, 401, 'nor is the proxy to blame');
});

t.test('without a trusted proxy nobody says where they come from', async (t) => {
  const gate = await startTestGateway(t, 'sqlite', route);
  const statusFrom = async (address: string) =>
    (await gate.call('nonsense', '/', { headers: { 'x-forwarded-for': address } })).status;
  for (let i = 0; i < 100; i++) await statusFrom(`198.51.100.${i}`);
  t.equal(await statusFrom('198.51.100.200'), 429);
});

t.test('an address begins 30 sign-ins a minute', async (t) => {
  const gate = await startVisitedGateway(t, 'sqlite', { server: 'trustedProxies: [127.0.0.1]' });
  const begin = (address: string) =>
    fetch(`${gate.url}/_tollgate/auth/login/idp`, { redirect: 'manual', headers: { 'x-forwarded-for': address } });
  for (let i = 0; i < 30; i++) t.equal((await begin('198.51.100.1')).status, 302);
  const answer = await begin('198.51.100.1');
  t.same(await tellingOf(answer), [429, 'TG_RATE_LIMITED']);
  t.equal(answer.headers.get('retry-after'), '60');
  t.same(answer.headers.getSetCookie(), []);
  t.equal((await begin('198.51.100.2')).status, 302);
});

t.test('an address makes 20 users an hour; who is known signs in all the same', async (t) => {
  const gate = await startVisitedGateway(t, 'sqlite', { server: 'trustedProxies: [127.0.0.1]' });
  const enter = async (person: string, address = '198.51.100.1') => {
    introduce(gate.provider, person);
    const jar = new CookieJar();
    const headers = { 'x-forwarded-for': address };
    const { hops } = await jar.visit(`${gate.url}/_tollgate/auth/login/idp`, { headers });
    const back = hops.find(({ url }) => url.includes('/_tollgate/auth/callback/'));
    return back?.status === 302 ? 'signed in' : back?.status;
  };
  for (let i = 1; i <= 20; i++) t.equal(await enter(`person-${i}`), 'signed in');
  t.equal(await enter('person-21'), 429);
  t.equal(await usersOf(gate), 20);
  t.equal(await enter('person-1'), 'signed in');
  t.equal(await enter('person-21', '198.51.100.2'), 'signed in');
  t.equal(await usersOf(gate), 21);
});

/** One more failure, of whatever kind. */
async function failAt(gate: TestGateway, i: number): Promise<number> {
  const unknown = `tg_${'A'.repeat(38)}`;
  if (i % 3 === 0) return (await gate.call(unknown)).status;
  if (i % 3 === 1) return (await gate.call('a.b.c')).status;
  return (await askAs('A'.repeat(42) + 'ABCDEFGHIJ'[i % 10], gate)).status;
}

async function usersOf({ test }: TestGateway): Promise<number> {
  return (await test.database.db.selectFrom('users').select('id').execute()).length;
}
