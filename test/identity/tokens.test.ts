import t from 'tap';
import { blockUser, findUser } from '../../src/store/users.ts';
import { dialects } from '../helpers/databases.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { audience, startIdentityProvider } from '../helpers/identity-provider.ts';
import { TokenIssuer } from '../helpers/token-issuer.ts';
import { until } from '../helpers/until.ts';

const everything = '  - { path: /, upstream: api, cost: 7 }';
const bearer = (issuer: string) => ({ auth: `bearer: [{ issuer: "${issuer}", audience: ["${audience}"] }]` });

for (const dialect of dialects) {
  t.test(`${dialect}: a token of a real identity provider is charged to the user whom it makes`, async (t) => {
    const provider = await startIdentityProvider(t);
    const gate = await startTestGateway(t, dialect, everything, undefined, bearer(provider.issuer));
    const token = await provider.accessToken();
    for (let i = 1; i <= 2; i++) {
      const answer = await gate.call(token, '/things');
      t.equal(answer.status, 200);
      t.match(Object.fromEntries(answer.headers), { 'x-credits-remaining': String(5000 - 7 * i) });
    }
    const headers = gate.upstream.seen.at(-1)?.headers ?? {};
    t.equal(headers['authorization'], undefined, 'the token goes no further');
    await gate.gateway.close();
    const user = await findUser(gate.test.database.db, `${provider.issuer}#program`);
    t.match(user, { credits: 5000 - 14, plan: 'Basic', email: null });
    t.equal(headers['x-tollgate-user'], user.id);
    t.notMatch(JSON.stringify(gate.log), token, 'the log does not hold it');
  });

  t.test(`${dialect}: two gateways refuse the tokens of a user who is blocked`, async (t) => {
    const { issuer, key } = await TokenIssuer.start(t);
    const gate = await startTestGateway(t, dialect, everything, undefined, bearer(issuer.url));
    const token = await issuer.sign(key, { aud: audience });
    t.equal((await gate.call(token)).status, 200);
    await blockUser(gate.test.database.db, (await findUser(gate.test.database.db, `${issuer.url}#ann`)).id);
    await until(
      async () => (await gate.call(token)).status,
      (status) => status === 403,
    );
  });
}

t.test('a route says which credentials it takes, and which scopes a token needs', async (t) => {
  const provider = await startIdentityProvider(t);
  const routes = [
    everything,
    '  - { path: /keys, upstream: api, auth: [key] }',
    '  - { path: /tokens, upstream: api, auth: [bearer] }',
    '  - { path: /search, upstream: api, scopes: [search:read] }',
  ].join('\n');
  const gate = await startTestGateway(t, 'sqlite', routes, undefined, bearer(provider.issuer));
  const key = await gate.newKey('u', 100);
  const plain = await provider.accessToken();
  const reading = await provider.accessToken('search:read search:write');
  const answer = async (credential: string, path: string) => {
    const { status, headers } = await gate.call(credential, path);
    return [status, headers.get('x-tollgate-error')];
  };
  t.same(await answer(key, '/keys'), [200, null]);
  t.same(await answer(plain, '/keys'), [401, 'TG_AUTH_NOT_ACCEPTED']);
  t.same(await answer(key, '/tokens'), [401, 'TG_AUTH_NOT_ACCEPTED']);
  t.same(await answer(plain, '/tokens'), [200, null]);
  t.same(await answer(key, '/search'), [200, null], 'a key has no scopes');
  t.same(await answer(reading, '/search'), [200, null]);
  t.same(await answer(plain, '/search'), [403, 'TG_SCOPE_MISSING']);
  const { headers } = await gate.call(plain, '/search');
  t.equal(headers.get('www-authenticate'), 'Bearer realm="tollgate", error="insufficient_scope", scope="search:read"');
});

t.test('the first credential that is present decides, be it a token or a key', async (t) => {
  const provider = await startIdentityProvider(t);
  const gate = await startTestGateway(t, 'sqlite', everything, undefined, bearer(provider.issuer));
  const key = await gate.newKey('u', 100);
  const token = await provider.accessToken();
  const userBehind = async (headers: Record<string, string>) => {
    const { status } = await gate.call(null, '/', { headers });
    return status === 200 ? gate.upstream.seen.at(-1)?.headers['x-tollgate-user'] : status;
  };
  t.equal(await userBehind({ 'x-api-key': key }), 'u');
  t.not(await userBehind({ authorization: `bearer  ${token}`, 'x-api-key': key }), 'u');
  t.equal(await userBehind({ authorization: `Bearer ${token.slice(0, -8)}AAAAAAAA`, 'x-api-key': key }), 401);
  t.equal(await userBehind({ 'x-api-key': token }), 401, 'a token stands in Authorization alone');
});

t.test('where keys are looked for in another field alone, Authorization takes tokens and no keys', async (t) => {
  const provider = await startIdentityProvider(t);
  const auth = `${bearer(provider.issuer).auth}, apiKeys: { headers: [x-key] }`;
  const gate = await startTestGateway(t, 'sqlite', everything, undefined, { auth });
  const key = await gate.newKey('u', 100);
  t.equal((await gate.call(await provider.accessToken())).status, 200);
  t.equal((await gate.call(key)).status, 401);
  t.equal((await gate.call(null, '/', { headers: { 'x-key': key } })).status, 200);
});

t.test('a gateway starts and serves keys while the provider is down, and tokens once it is up', async (t) => {
  const { issuer, key } = await TokenIssuer.start(t);
  issuer.isDown = true;
  const gate = await startTestGateway(t, 'sqlite', everything, undefined, bearer(issuer.url));
  t.equal((await gate.call(await gate.newKey('u', 100))).status, 200);
  const token = await issuer.sign(key, { aud: audience });
  const answer = await gate.call(token);
  t.same([answer.status, answer.headers.get('x-tollgate-error')], [503, 'TG_AUTH_UNAVAILABLE']);
  t.ok(answer.headers.get('retry-after'));
  t.match(warningsOf(gate), [{ issuer: issuer.url }]);
  issuer.isDown = false;
  await until(
    async () => (await gate.call(token)).status,
    (status) => status === 200,
  );
});

function warningsOf({ log }: TestGateway): unknown[] {
  return log.filter(({ level }) => level === 'warn');
}
