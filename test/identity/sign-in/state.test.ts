import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Config, Place } from '../../../src/config/config.ts';
import { nonceOf, openState, returnToOf, safeReturnTo } from '../../../src/identity/sign-in/state.ts';
import { CookieJar } from '../../helpers/cookie-jar.ts';
import { OddProvider } from '../../helpers/odd-provider.ts';
import { sessionOf, startSignInGateway } from '../../helpers/sign-in-gateways.ts';
import { beginSignIn, failed, oddYaml, refusalOf } from './attempts.ts';

const minuteMs = 60_000;

t.test('a state is good for ten minutes, and none that was written otherwise is', async (t) => {
  const clock = { now: 1_800_000_000_000 };
  t.intercept(Date, 'now', { value: () => clock.now });
  const state = openState('/things?a=b');
  t.equal(returnToOf(state), '/things?a=b');
  clock.now += 10 * minuteMs - 1;
  t.equal(returnToOf(state), '/things?a=b');
  clock.now += 1;
  t.equal(returnToOf(state), null);
  const [random = ''] = state.split('.');
  for (const odd of ['', '.', '..', random, `${random}.zzzz`, `${random}..Lw`, `${random}.-1.Lw`, `.zzzzzzzzz.Lw`]) {
    t.equal(returnToOf(odd), null, JSON.stringify(odd));
  }
});

t.test('no two states are alike, and the nonce of one says nothing about it', async (t) => {
  const states = Array.from({ length: 100 }, () => openState('/'));
  t.equal(new Set(states).size, 100);
  for (const state of states) {
    t.ok((state.split('.')[0] ?? '').length >= 22, 'as much as nobody can guess');
    t.notOk(nonceOf(state).includes(state));
    t.not(nonceOf(state), createHash('sha256').update(state).digest('base64url'), 'nor is it the hash of one');
  }
  t.equal(new Set(states.map(nonceOf)).size, 100);
});

t.test('with a path in front, a way back may lead anywhere on the portal’s host', async (t) => {
  const portal: Place = { origin: 'https://a.example', host: 'a.example', path: '/gw', isSecure: true };
  t.equal(safeReturnTo('/gw/things', portal), '/gw/things');
  t.equal(safeReturnTo('https://a.example/gw/things', portal), '/gw/things');
  for (const elsewhere of [
    'https://a.example',
    'https://a.example:444/',
    'http://a.example/',
    '//a.example/',
    'gw/things',
  ]) {
    t.equal(safeReturnTo(elsewhere, portal), null, elsewhere);
  }
});

t.test('the first secret signs what a browser keeps of a sign-in, and all of them are good', async (t) => {
  const [older, newer] = ['an older secret of 32 characters ', 'a newer secret of 32 characters '];
  const odd = await OddProvider.start(t);
  const gates = {
    older: await gateWith(t, odd, [older]),
    both: await gateWith(t, odd, [newer, older]),
    newer: await gateWith(t, odd, [newer]),
  };
  const finishesAt = async (began: keyof typeof gates, ends: keyof typeof gates) => {
    const jar = new CookieJar();
    const callback = await beginSignIn(jar, gates[began].url, 'odd');
    const moved = callback.replace(gates[began].url, gates[ends].url);
    for (const [name, value] of Object.entries(jar.cookiesFor(callback))) {
      jar.set(moved, `${name}=${value}; Path=/; HttpOnly`);
    }
    const visited = await jar.visit(moved);
    if (visited.response.ok) return typeof (await sessionOf(jar, gates[ends].url)) === 'object';
    t.same(await refusalOf(visited), failed);
    return false;
  };
  t.ok(await finishesAt('older', 'older'));
  t.ok(await finishesAt('older', 'both'), 'the old one is good');
  t.ok(await finishesAt('both', 'newer'), 'the first one signs');
  t.notOk(await finishesAt('both', 'older'));
  t.notOk(await finishesAt('older', 'newer'), 'another one is not good');
});

t.test('cookies that somebody has changed are good for nothing', async (t) => {
  const odd = await OddProvider.start(t);
  const gate = await gateWith(t, odd, ['a secret of thirty-two characters']);
  const jar = new CookieJar();
  const callback = await beginSignIn(jar, gate.url, 'odd');
  const { tollgate_state_odd: state = '', ...others } = jar.cookiesFor(callback);
  t.same(Object.keys(others), ['tollgate_verifier_odd']);
  const bare = new URL(callback).searchParams.get('state') ?? '';
  for (const changed of [bare, `${bare}.`, state.slice(0, -4), `s:${state}`, bare.replace('.', '')]) {
    const other = new CookieJar();
    for (const [name, value] of Object.entries(others)) other.set(callback, `${name}=${value}; Path=/`);
    other.set(callback, `tollgate_state_odd=${changed}; Path=/`);
    t.same(await refusalOf(await other.visit(callback)), failed);
  }
  t.same(odd.tokenRequests, []);
});

function gateWith(t: Test, odd: OddProvider, secrets: readonly string[]) {
  const adjust = (config: Config): Config => {
    const { signIn } = config.auth;
    return signIn === null ? config : { ...config, auth: { ...config.auth, signIn: { ...signIn, secrets } } };
  };
  return startSignInGateway(t, 'sqlite', { providers: oddYaml('odd', odd), adjust });
}
