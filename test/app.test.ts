import type { ServerResponse } from 'node:http';
import { sql } from 'kysely';
import t from 'tap';
import { hashKey } from '../src/identity/api-keys.ts';
import { rotateKey } from '../src/store/keys.ts';
import { dialects, temporaryFolder } from './helpers/databases.ts';
import { noteLog } from './helpers/evidence.ts';
import { startTestGateway, type TestGateway } from './helpers/gateways.ts';
import { until } from './helpers/until.ts';

const everything = '  - { path: /, upstream: api }';
const costs7 = '  - { path: /, upstream: api, cost: 7 }';
const insufficient = 'Insufficient credits. Please contact support to add more credits to your account.';

for (const dialect of dialects) {
  t.test(`${dialect}: a call that succeeds costs its route's credits, one that fails costs nothing`, async (t) => {
    const gate = await startTestGateway(t, dialect, costs7);
    const key = await gate.newKey('u', 100);
    const good = await gate.call(key, '/things?x=1');
    t.equal(good.status, 200);
    t.match(Object.fromEntries(good.headers), { 'x-credits-cost': '7', 'x-credits-remaining': '93' });
    t.match(await good.json(), { url: '/things?x=1', headers: { 'x-tollgate-user': 'u' } });
    const bad = await gate.call(key, '/status/404');
    t.equal(bad.status, 404);
    t.match(Object.fromEntries(bad.headers), { 'x-credits-cost': '0', 'x-credits-remaining': '93' });
    await bad.body?.cancel();
    await gate.gateway.close();
    t.match(await chargesOf(gate), [
      { user_id: 'u', amount: -7, status: 200, request_id: good.headers.get('x-request-id') },
    ]);
  });

  t.test(`${dialect}: 500 calls at once with 120 credits are 120 upstream calls and 380 answers of 402`, async (t) => {
    const gate = await startTestGateway(t, dialect, everything);
    t.same(await stormOf(gate, 500, 120), { 200: 120, 402: 380 });
    t.equal(gate.upstream.seen.length, 120);
    t.equal(await creditsOf(gate, 'u'), 0);
  });

  t.test(`${dialect}: 300 calls at once at cost 7 with 100 credits are 14 calls and leave 2 credits`, async (t) => {
    const gate = await startTestGateway(t, dialect, costs7);
    t.same(await stormOf(gate, 300, 100), { 200: 14, 402: 286 });
    t.equal(gate.upstream.seen.length, 14);
    t.equal(await creditsOf(gate, 'u'), 2);
  });

  t.test(
    `${dialect}: a caller without enough credits gets the 402 of the contract and the upstream is not bothered`,
    async (t) => {
      const gate = await startTestGateway(t, dialect, costs7);
      const answer = await gate.call(await gate.newKey('u', 6));
      t.equal(answer.status, 402);
      t.equal(await answer.text(), JSON.stringify({ error: insufficient }));
      t.match(Object.fromEntries(answer.headers), {
        'x-credits-required': '7',
        'x-credits-cost': '0',
        'x-credits-remaining': '6',
        'x-tollgate-error': 'TG_CREDITS_INSUFFICIENT',
        'cache-control': 'no-store',
      });
      t.equal(gate.upstream.seen.length, 0);
    },
  );

  t.test(`${dialect}: a key with a limit of its own stops there with a text of its own`, async (t) => {
    const gate = await startTestGateway(t, dialect, costs7);
    const key = await gate.newKey('u', 100, { limit: 10 });
    t.equal((await gate.call(key)).status, 200);
    const answer = await gate.call(key);
    t.equal(answer.status, 402);
    t.equal(answer.headers.get('x-tollgate-error'), 'TG_KEY_LIMIT_REACHED');
    t.notMatch(await answer.text(), insufficient);
  });

  t.test(`${dialect}: a revoked key is out at the next exchange with the store, on a warm gateway`, async (t) => {
    const gate = await startTestGateway(t, dialect, everything);
    const key = await gate.newKey('u', 1000);
    t.equal((await gate.call(key)).status, 200);
    await sql`UPDATE api_keys SET revoked_at = created_at`.execute(gate.test.database.db);
    await until(
      async () => (await gate.call(key)).status,
      (status) => status === 401,
    );
  });

  t.test(`${dialect}: a blocked user is out at the next exchange, and back in after unblocking`, async (t) => {
    const gate = await startTestGateway(t, dialect, everything);
    const key = await gate.newKey('u', 1000);
    t.equal((await gate.call(key)).status, 200);
    await sql`UPDATE users SET blocked_at = created_at`.execute(gate.test.database.db);
    await until(
      async () => (await gate.call(key)).status,
      (status) => status === 403,
    );
    await sql`UPDATE users SET blocked_at = NULL`.execute(gate.test.database.db);
    await until(
      async () => (await gate.call(key)).status,
      (status) => status === 200,
    );
  });

  t.test(`${dialect}: an expired key is refused, a rotated one is good until its overlap ends`, async (t) => {
    const gate = await startTestGateway(t, dialect, everything);
    const { db } = gate.test.database;
    t.equal((await gate.call(await gate.newKey('expired', 10, { expiresAt: '2020-01-01T00:00:00.000Z' }))).status, 401);
    const key = await gate.newKey('u', 10);
    const { id } = await db
      .selectFrom('api_keys')
      .select('id')
      .where('hash', '=', hashKey(key))
      .executeTakeFirstOrThrow();
    await db.transaction().execute((trx) => rotateKey(trx, id, { hash: 'a', hint: '' }, 3_600_000));
    t.equal((await gate.call(key)).status, 200, 'in the overlap the old key is good');
    await db.transaction().execute((trx) => rotateKey(trx, id, { hash: 'b', hint: '' }, 0));
    await until(
      async () => (await gate.call(key)).status,
      (status) => status === 401,
    );
  });

  t.test(`${dialect}: a balance edited by hand counts for a warm caller at the next exchange`, async (t) => {
    const gate = await startTestGateway(t, dialect, everything);
    const key = await gate.newKey('u', 1000);
    t.equal((await gate.call(key)).status, 200);
    await sql`UPDATE users SET credits = 0`.execute(gate.test.database.db);
    await until(
      async () => (await gate.call(key)).status,
      (status) => status === 402,
    );
  });

  t.test(`${dialect}: a warm caller costs no database statement before the upstream is reached`, async (t) => {
    const gate = await startTestGateway(t, dialect, everything);
    const [warm, cold] = [await gate.newKey('warm', 1000), await gate.newKey('cold', 1000)];
    await (await gate.call(warm)).text();
    // From here on every statement that asks for a caller, a balance or a lease fails.
    const tables = ['users', 'api_keys', 'leases', 'ledger'];
    for (const table of tables) await rename(gate, table, `${table}_elsewhere`);
    t.equal((await gate.call(warm)).status, 200);
    t.ok((await gate.call(cold)).status >= 500, 'who is not known is told that it cannot be found out');
    for (const table of tables) await rename(gate, `${table}_elsewhere`, table);
    await until(
      async () => (await gate.call(cold)).status,
      (status) => status === 200,
    );
  });

  t.test(`${dialect}: readiness follows the database, liveness does not`, async (t) => {
    const gate = await startTestGateway(t, dialect, everything);
    t.equal((await fetch(`${gate.gateway.opsAddress}/healthz`)).status, 200);
    t.equal((await fetch(`${gate.gateway.opsAddress}/readyz`)).status, 200);
    await sql`ALTER TABLE instances RENAME TO elsewhere`.execute(gate.test.database.db);
    await until(
      async () => (await fetch(`${gate.gateway.opsAddress}/readyz`)).status,
      (status) => status === 503,
    );
    t.equal((await fetch(`${gate.gateway.opsAddress}/healthz`)).status, 200);
    await sql`ALTER TABLE elsewhere RENAME TO instances`.execute(gate.test.database.db);
    await until(
      async () => (await fetch(`${gate.gateway.opsAddress}/readyz`)).status,
      (status) => status === 200,
    );
  });
}

t.test('the first credential that is present decides', async (t) => {
  const gate = await startTestGateway(t, 'sqlite', everything);
  const key = await gate.newKey('u', 100);
  const answerTo = async (headers: Record<string, string>) => {
    const answer = await gate.call(null, '/', { headers });
    await answer.body?.cancel();
    return [answer.status, answer.headers.get('x-tollgate-error')];
  };
  t.same(await answerTo({}), [401, 'TG_AUTH_MISSING']);
  t.same(await answerTo({ 'x-api-key': key }), [200, null]);
  t.same(await answerTo({ authorization: `bearer ${key}` }), [200, null]);
  t.same(await answerTo({ authorization: 'Bearer nonsense', 'x-api-key': key }), [401, 'TG_AUTH_INVALID']);
  t.same(await answerTo({ authorization: 'Bearer', 'x-api-key': key }), [401, 'TG_AUTH_INVALID']);
  t.same(await answerTo({ authorization: `Bearer ${key.slice(0, -1)}?` }), [401, 'TG_AUTH_INVALID']);
  t.same(await answerTo({ authorization: 'Basic dTpw', 'x-api-key': key }), [200, null]);
  t.equal(gate.upstream.seen.at(-1)?.headers.authorization, 'Basic dTpw', 'the upstream gets what is meant for it');
  t.equal(gate.upstream.seen.at(-1)?.headers['x-api-key'], undefined);
});

t.test('a key in the query string is refused with a hint, on public routes too', async (t) => {
  const gate = await startTestGateway(t, 'sqlite', `${everything}\n  - { path: /open, upstream: api, auth: none }`);
  const key = await gate.newKey('u', 100);
  const encoded = `%74g%5F${key.slice(3)}`;
  const queries = [
    `api_key=${key}`,
    `x=1&k=${key}&y=2`,
    key,
    `token=Bearer%20${key}`,
    `k=${key};x=1`,
    `k=%22${key}%22`,
  ];
  queries.push(
    `k=a,${key}`,
    `k=${key}%20`,
    `k=${encoded}`,
    `k=Bearer%2520${encoded.replaceAll('%', '%25')}`,
    `?/${key}/`,
  );
  for (const path of ['/', '/open'].flatMap((path) => queries.map((query) => `${path}?${query}`))) {
    const answer = await gate.call(null, path);
    t.equal(answer.status, 401, path);
    t.match(await answer.json(), { error: /query string/ });
  }
  t.equal(gate.upstream.seen.length, 0);
  for (const query of [`k=${key.slice(0, -1)}`, 'k=tg_', '%', 'x=100%25&tg_x=%zz', `k=${key.replace('tg_', 'tg-')}`]) {
    t.equal((await gate.call(null, `/open?${query}`)).status, 200, 'what is no key passes');
  }
});

t.test('a public route asks for no credential and charges nobody', async (t) => {
  const gate = await startTestGateway(t, 'sqlite', '  - { path: /, upstream: api, auth: none }');
  const answer = await gate.call(null);
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('x-credits-cost'), null);
});

t.test('the log has a line for each request, which tells of its charge, and never a credential', async (t) => {
  const gate = await startTestGateway(t, 'sqlite', costs7);
  const key = await gate.newKey('u', 10);
  await (await gate.call(key, '/things', { headers: { 'x-request-id': 'first' } })).text();
  await (await gate.call(key, '/things?secret=1', { headers: { 'x-request-id': 'second' } })).text();
  await (await gate.call(null, `/?k=${key}`)).text();
  await (await gate.call(null, `/${key}`)).text();
  await until(
    () => gate.log.filter((line) => line['msg'] === 'request').length,
    (lines) => lines === 4,
  );
  t.match(
    gate.log.filter((line) => line['requestId'] === 'first'),
    [
      {
        msg: 'request',
        user: 'u',
        key: String,
        charge: /^[0-9a-f-]{36}$/,
        remaining: 3,
        route: '/',
        method: 'GET',
        path: '/things',
        status: 200,
        cost: 7,
        outcome: 'settle',
      },
    ],
  );
  t.match(
    gate.log.filter((line) => line['requestId'] === 'second'),
    [
      { msg: 'refusal', user: 'u', route: '/', error: 'TG_CREDITS_INSUFFICIENT', cost: 7, balance: 3 },
      { msg: 'request', status: 402, cost: 0 },
    ],
  );
  const text = JSON.stringify(gate.log);
  t.notMatch(text, key);
  t.notMatch(text, 'secret=1');
});

t.test('an upstream that cannot be reached is one line in the log, with the cause', async (t) => {
  const gate = await startTestGateway(t, 'sqlite', everything);
  const key = await gate.newKey('u', 100);
  await new Promise((resolve) => gate.upstream.server.close(resolve));
  t.equal((await gate.call(key)).status, 502);
  const lines = await until(
    () => gate.log.filter((line) => 'requestId' in line),
    (told) => told.length > 0,
  );
  t.match(lines, [{ msg: 'request', status: 502, cost: 0, outcome: 'release', upstreamError: /ECONNREFUSED/ }]);
});

t.test('a request whose caller left before the answer is logged with what became of it', async (t) => {
  const pending: ServerResponse[] = [];
  const gate = await startTestGateway(t, 'sqlite', costs7, (_request, response) => pending.push(response));
  const key = await gate.newKey('u', 100);
  const caller = new AbortController();
  const call = gate.call(key, '/', { signal: caller.signal });
  await until(
    () => pending.length,
    (calls) => calls === 1,
  );
  caller.abort();
  await t.rejects(call);
  await until(
    async () => (await fetch(`${gate.gateway.opsAddress}/metrics`)).text(),
    (metrics) => metrics.includes('tollgate_requests_total{route="/",code="499"} 1'),
  );
  pending[0]?.end('late');
  await until(
    () => gate.log.filter((line) => line['msg'] === 'request'),
    (lines) => lines.length === 1,
  );
  t.match(gate.log.at(-1), { msg: 'request', status: 499, cost: 7, outcome: 'settle', charge: String, remaining: 93 });
});

t.test('a request gets the id it came with if that is harmless, else a new one', async (t) => {
  const gate = await startTestGateway(t, 'sqlite', everything);
  const key = await gate.newKey('u', 10);
  const idOf = async (id: string) =>
    (await gate.call(key, '/', { headers: { 'x-request-id': id } })).headers.get('x-request-id');
  t.equal(await idOf('abc-1.2_3'), 'abc-1.2_3');
  t.match(await idOf('<script>'), /^[0-9a-f-]{36}$/);
  t.match(await idOf('x'.repeat(129)), /^[0-9a-f-]{36}$/);
});

t.test('a gateway that cannot start leaves nothing open and says why', async (t) => {
  const gate = await startTestGateway(t, 'sqlite', everything);
  const port = new URL(gate.gateway.address).port;
  const { parseConfig } = await import('../src/config/config.ts');
  const { startGateway } = await import('../src/app.ts');
  const text = `server: { host: 127.0.0.1, port: ${port} }\nops: { port: 0 }
dataDir: ${await temporaryFolder(t)}
database: { url: "${gate.test.url}" }\nupstreams: { api: "http://127.0.0.1:1" }\nroutes:\n${everything}`;
  await t.rejects(startGateway(parseConfig(text, { file: 'x', env: {} }).config, { logTo: { write: noteLog } }), {
    code: 'EADDRINUSE',
  });
});

/** Calls at once by one user; how many answers of each status. */
async function stormOf(gate: TestGateway, calls: number, credits: number): Promise<Record<number, number>> {
  const key = await gate.newKey('u', credits);
  const answers = await Promise.all(
    Array.from({ length: calls }, async () => {
      const answer = await gate.call(key);
      await answer.arrayBuffer();
      return answer.status;
    }),
  );
  const counts: Record<number, number> = {};
  for (const status of answers) counts[status] = (counts[status] ?? 0) + 1;
  await gate.gateway.close();
  return counts;
}

function rename({ test }: TestGateway, from: string, to: string) {
  return sql`ALTER TABLE ${sql.id(from)} RENAME TO ${sql.id(to)}`.execute(test.database.db);
}

function chargesOf({ test }: TestGateway) {
  return test.database.db.selectFrom('ledger').selectAll().where('kind', '=', 'charge').execute();
}

async function creditsOf({ test }: TestGateway, id: string): Promise<number> {
  const query = test.database.db.selectFrom('users').select('credits').where('id', '=', id);
  return (await query.executeTakeFirstOrThrow()).credits;
}
