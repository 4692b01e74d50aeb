import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import type { IntrospectionEndpoint } from '../../src/config/config.ts';
import { BearerTokens } from '../../src/identity/bearer.ts';
import { Introspection } from '../../src/identity/introspection.ts';
import { ProviderClient } from '../../src/identity/provider-client.ts';
import { TokenUsers } from '../../src/identity/token-users.ts';
import { findUser } from '../../src/store/users.ts';
import { dialects, migratedDatabase } from '../helpers/databases.ts';
import { noteCredentialIn, suiteLog } from '../helpers/evidence.ts';
import { startTestGateway } from '../helpers/gateways.ts';
import { audience, startIdentityProvider } from '../helpers/identity-provider.ts';
import { until } from '../helpers/until.ts';
import { Wire } from '../helpers/wire.ts';

const now = () => Math.floor(Date.now() / 1000);
const good = { active: true, sub: 'ann', aud: audience, client_id: 'app', token_type: 'Bearer' };

for (const dialect of dialects) {
  t.test(
    `${dialect}: a token that only its provider can read is charged, until its provider takes it back`,
    async (t) => {
      const { issuer, secret, ...provider } = await startIdentityProvider(t);
      const auth = `bearer: [{ introspection: "${issuer}/token/introspection", clientId: gateway, clientSecret: "${secret}", audience: "${audience}" }]`;
      const routes = '  - { path: /, upstream: api }\n  - { path: /search, upstream: api, scopes: [search:read] }';
      const gate = await startTestGateway(t, dialect, routes, undefined, { auth });
      const token = await provider.accessToken('search:read', 'opaque');
      t.notMatch(token, /\./, 'it is no JWT');
      t.equal((await gate.call(token)).status, 200);
      t.equal((await gate.call(token, '/search')).status, 200);
      const plain = await provider.accessToken('', 'opaque');
      t.equal((await gate.call(plain, '/search')).status, 403);
      const revoked = await provider.accessToken('', 'opaque');
      await provider.revoke(revoked);
      t.equal((await gate.call(revoked)).status, 401);
      t.equal((await gate.call('nonsense')).status, 401);
      t.equal((await gate.call(await provider.accessToken())).status, 401, 'a JWT is for issuers that are named');
      await gate.gateway.close();
      t.match(await findUser(gate.test.database.db, `${issuer}#client:program`), { credits: 4998 });
      t.notMatch(JSON.stringify(gate.log), token, 'the log does not hold it');
      t.notMatch(JSON.stringify(gate.log), secret);
    },
  );
}

t.test('a caller who leaves while it is found out who it is makes no call, and holds nothing', async (t) => {
  const asked = new Map<string, () => void>();
  const { url } = await startProvider(t, (form, answer) => void asked.set(form.get('token') ?? '', () => answer(good)));
  const auth = `bearer: [{ introspection: "${url}/ask", clientId: c, clientSecret: s, clients: app }]`;
  const gate = await startTestGateway(t, 'sqlite', '  - { path: /, upstream: api }', undefined, { auth });
  const answerAbout = async (token: string) => {
    const answer = await until(
      () => asked.get(token),
      (is) => is !== undefined,
    );
    answer?.();
  };
  const first = gate.call('first');
  await answerAbout('first');
  t.equal((await first).status, 200, 'from now on credits are at hand');

  const wire = Wire.to(Number(new URL(gate.gateway.address).port));
  wire.send('GET / HTTP/1.1', 'Host: h', 'Authorization: Bearer second', '', '');
  await until(
    () => asked.has('second'),
    (is) => is,
  );
  wire.leave();
  await wire.waitForClose();
  // Another call has come and gone by then, so the gateway has seen that the caller left.
  await (await gate.call('first')).text();
  await answerAbout('second');
  const third = gate.call('third');
  await answerAbout('third');
  await (await third).text();
  t.equal(gate.upstream.seen.length, 3);
  await gate.gateway.close();
  const charges = gate.test.database.db.selectFrom('ledger').selectAll().where('kind', '=', 'charge');
  t.equal((await charges.execute()).length, 3);
  t.match(
    gate.log.findLast(({ status }) => status === 499),
    { outcome: null },
  );
});

t.test('a provider is asked about a token once, as the client that it knows', async (t) => {
  const { tokens, asked } = await open(t, () => good);
  const callers = await Promise.all([tokens.find('token'), tokens.find('token')]);
  t.match(callers, [{ scopes: [] }, { scopes: [] }]);
  t.equal(tokens.find('token'), callers[0], 'at once');
  const authorization = `Basic ${Buffer.from('gate+way:s%3A%25').toString('base64')}`;
  t.same(asked, [{ authorization, body: 'token=token&token_type_hint=access_token' }]);
});

t.test('a token that is not good is refused, and for a while without asking', async (t) => {
  const { tokens, asked } = await open(t, () => ({ active: false }));
  t.equal(await tokens.find('token'), null);
  t.equal(await tokens.find('token'), null);
  t.equal(asked.length, 1);
  for (const text of ['two words', 'x'.repeat(8 * 1024 + 1), '', 'ä', '"'])
    t.equal(await tokens.find(text), null, text.slice(0, 9));
  t.equal(asked.length, 1, 'what can be no token is not asked about');
});

t.test('the word of a provider counts for what it says alone', async (t) => {
  const verdictOn = async (answer: object, settings: Partial<IntrospectionEndpoint> = {}) => {
    const { tokens } = await open(t, () => answer, settings);
    return (await tokens.find('token')) !== null;
  };
  const asked = { audience: [audience], clients: [] };
  const app = { audience: [], clients: ['app', 'other'] };
  t.equal(await verdictOn(good, asked), true);
  t.equal(await verdictOn({ ...good, aud: ['x', audience] }, asked), true);
  t.equal(await verdictOn(good, app), true);
  t.equal(await verdictOn({ ...good, token_type: undefined }, asked), true);
  t.equal(await verdictOn({ ...good, nbf: now() + 5 }), true, 'clocks differ');
  t.equal(await verdictOn({ ...good, exp: now() + 60, nbf: now() - 60 }), true);
  t.equal(await verdictOn({ ...good, sub: undefined }), true, 'a program of its own');

  t.equal(await verdictOn({ ...good, aud: 'https://other.example' }, asked), false);
  t.equal(await verdictOn({ ...good, aud: undefined }, asked), false);
  t.equal(await verdictOn({ ...good, client_id: 'stranger' }, app), false);
  t.equal(await verdictOn({ ...good, client_id: undefined }, app), false);
  t.equal(await verdictOn(good, { audience: ['x'], clients: ['app'] }), false, 'both where both are asked for');
  t.equal(await verdictOn({ ...good, token_type: 'DPoP' }), false);
  t.equal(await verdictOn({ ...good, cnf: { jkt: 'x' } }), false);
  t.equal(await verdictOn({ ...good, token_type: undefined }, app), false, 'a refresh token has no type');
  t.equal(await verdictOn({ ...good, sub: 'client:app' }), false, 'nobody is named like a program');
  t.equal(await verdictOn({ ...good, exp: now() - 1 }), false);
  t.equal(await verdictOn({ ...good, exp: 'tomorrow' }), false);
  t.equal(await verdictOn({ ...good, nbf: now() + 60 }), false);
  t.equal(await verdictOn({ ...good, sub: '' }), false);
  t.equal(await verdictOn({ ...good, sub: undefined, client_id: undefined }, asked), false);
});

t.test('a provider speaks for its own users, and not for those of another', async (t) => {
  const issuerOf = async (iss: unknown) => {
    const { tokens, url } = await open(t, () => ({ ...good, iss }));
    return ((await tokens.find('token'))?.issuer ?? '').replace(url, 'its own');
  };
  t.equal(await issuerOf('https://accounts.google.com'), 'its own');
  t.equal(await issuerOf(undefined), 'its own');
  t.equal(await issuerOf(7), 'its own');
  const { tokens, url } = await open(t, () => ({ ...good, iss: `${url}/realm` }));
  t.equal((await tokens.find('token'))?.issuer, `${url}/realm`);
});

t.test('without a verdict a call is told to come again, and an outage is one line in the log', async (t) => {
  let answer: unknown = 500;
  const { tokens, log } = await open(t, () => answer);
  for (const odd of [500, 401, 302, [], null, { active: 'true' }, 'x'.repeat(2 ** 21)]) {
    answer = odd;
    await t.rejects(async () => tokens.find('token'), { code: 'TG_AUTH_UNAVAILABLE' }, String(odd).slice(0, 20));
  }
  t.equal(log.length, 1);
  answer = good;
  t.ok(await tokens.find('token'), 'and once it is back, all is well');
});

/** A provider whose answers are the test's to give: a status, or a document. */
async function startProvider(
  t: Test,
  onAsked: (form: URLSearchParams, answer: (said: unknown) => void, authorization: string | undefined) => void,
): Promise<{ url: string }> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const answer = (said: unknown) => {
      if (typeof said === 'number') response.writeHead(said, { location: '/' }).end();
      else response.end(JSON.stringify(said));
    };
    noteCredentialIn(request.headers.authorization);
    onAsked(new URLSearchParams(body), answer, request.headers.authorization);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function open(t: Test, answer: () => unknown, settings: Partial<IntrospectionEndpoint> = {}) {
  const asked: { authorization: string | undefined; body: string }[] = [];
  const { url } = await startProvider(t, (form, respond, authorization) => {
    asked.push({ authorization, body: form.toString() });
    respond(answer());
  });
  const client = new ProviderClient();
  t.teardown(() => client.close());
  const { db } = (await migratedDatabase(t, 'sqlite')).database;
  const log: object[] = [];
  const endpoint = {
    url: `${url}/asked`,
    clientId: 'gate way',
    clientSecret: 's:%',
    audience: [],
    clients: ['app'],
    ...settings,
  };
  const users = new TokenUsers({ db, newUser: { plan: 'Basic', credits: 70 }, log: { info: () => {} } });
  const warn = (line: object) => {
    suiteLog.warn(line);
    log.push(line);
  };
  const debug = (line: object) => suiteLog.debug(line);
  const introspection = new Introspection({ endpoint, users, client, log: { warn, debug } });
  return { tokens: new BearerTokens(null, introspection, { debug }), asked, log, url };
}
