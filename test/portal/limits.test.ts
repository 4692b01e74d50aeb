import t from 'tap';
import { parseConfig } from '../../src/config/config.ts';
import { daysLeft } from '../../src/portal/days.ts';
import { sampleCall } from '../../src/portal/keys.tsx';
import { CookieJar } from '../helpers/cookie-jar.ts';
import { startIdentityProvider } from '../helpers/identity-provider.ts';
import { providerYaml, signIn, startSignInGateway } from '../helpers/sign-in-gateways.ts';
import { until } from '../helpers/until.ts';
import { addPast, userIdOf } from './charges.ts';

t.test('a file of another version is served and not kept, and a long address leads back to the overview', async (t) => {
  const provider = await startIdentityProvider(t);
  const { url } = await startSignInGateway(t, 'sqlite', { providers: providerYaml('idp', provider) });
  const door = await (await fetch(`${url}/_tollgate/`)).text();
  const [, path = ''] = /href="([^"]+portal\.css)"/.exec(door) ?? [];
  for (const [address, cached] of [
    [path, 'public, max-age=31536000, immutable'],
    [path.replace(/assets\/[^/]+/, 'assets/another'), 'no-store'],
  ] as const) {
    const { status, headers } = await fetch(url + address);
    t.same([status, headers.get('cache-control')], [200, cached]);
  }
  for (const [query, returnTo] of [
    ['a', '%2F_tollgate%2Fkeys%3Fx%3Da'],
    ['a'.repeat(600), '%2F_tollgate%2F'],
  ] as const) {
    const answer = await fetch(`${url}/_tollgate/keys?x=${query}`, { headers: { accept: 'text/html' } });
    t.equal(answer.status, 401);
    t.match(await answer.text(), `returnTo=${returnTo}"`);
  }
});

t.test('the call that is shown has its key where keys are looked for', async (t) => {
  for (const [headers, shown] of [
    ['authorization, x-api-key', "curl -i -X POST -H 'Authorization: Bearer KEY' 'http://127.0.0.1/v1'"],
    ['x-api-key', "curl -i -X POST -H 'x-api-key: KEY' 'http://127.0.0.1/v1'"],
  ] as const) {
    const text = `
server: { publicUrl: "http://127.0.0.1" }
upstreams: { api: "http://127.0.0.1:4000" }
auth: { apiKeys: { headers: [${headers}] } }
routes: [{ path: /free, upstream: api, auth: none }, { path: /v1, upstream: api, methods: [POST] }]
`;
    t.equal(sampleCall(parseConfig(text, { file: 'gateway.yaml', env: {} }).config), shown);
  }
});

t.test('credits last as long as the pace of the last seven days says, from when they began to be used', async (t) => {
  const noon = Date.parse('2026-01-31T12:00:00Z');
  t.equal(daysLeft(100, [5, 0, 0, 0, 0, 0, 0, 0], noon), null, 'eight days ago is not counted');
  t.equal(daysLeft(100, [0, 0, 0, 0, 0, 0, 0, 10], noon), 10, 'less than a day counts as one');
  t.equal(daysLeft(100, [0, 0, 0, 0, 0, 10, 10, 5], noon), 10, 'two days and a half');
  t.equal(daysLeft(-3, [0, 0, 0, 0, 0, 0, 0, 10], noon), 0);
});

t.test('two files of a ledger at once are made for one user, and another when one of them is done', async (t) => {
  const provider = await startIdentityProvider(t);
  const { url, redirectUri, test } = await startSignInGateway(t, 'sqlite', {
    providers: providerYaml('idp', provider),
  });
  provider.allowRedirect(redirectUri('idp'));
  const jar = new CookieJar();
  await signIn(jar, url, 'idp');
  const { db } = test.database;
  await addPast(db, await userIdOf(db, 'ann@example.com'), { count: 100_000, routes: ['/'] });
  const file = () => jar.fetch(`${url}/_tollgate/history.csv`);
  const [first, second] = [await file(), await file()];
  const third = await file();
  t.same([first.status, second.status, third.status], [200, 200, 429]);
  t.match([third.headers.get('retry-after'), third.headers.get('content-disposition')], ['10', null]);
  await first.body?.cancel();
  const again = async () => {
    const answer = await file();
    await answer.body?.cancel();
    return answer.status;
  };
  t.equal(await until(again, (status) => status === 200), 200);
  await second.body?.cancel();
});
