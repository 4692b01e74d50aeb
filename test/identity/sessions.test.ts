import { hash } from 'node:crypto';
import { sql } from 'kysely';
import t from 'tap';
import { CookieJar } from '../helpers/cookie-jar.ts';
import { dialects, emptyDatabase, type TestDatabase } from '../helpers/databases.ts';
import { openLine } from '../helpers/lines.ts';
import { signIn } from '../helpers/sign-in-gateways.ts';
import { until } from '../helpers/until.ts';
import { askAs, introduce, sessionIdIn, startVisitedGateway, tellingOf } from '../helpers/visitors.ts';

/** What is asked again and again costs nothing. */
const free = '/status/404';

/** Tables that go missing. */
const lost = ['sessions', 'api_keys'];

type Instance = Parameters<typeof askAs>[1];

for (const dialect of dialects) {
  t.test(`${dialect}: the database holds the hash of a session, and nowhere the session`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const id = sessionIdIn(await gate.enter('ann'), gate.url);
    t.equal((await askAs(id, gate)).status, 200);
    const content = await contentOf(gate.test);
    t.ok(content.includes(hash('sha256', id, 'hex')));
    t.notOk(content.includes(id));
  });

  t.test(`${dialect}: a user has 50 sessions at most, and those that have ended are cleared away`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const { db } = gate.test.database;
    const first = sessionIdIn(await gate.enter('ann'), gate.url);
    t.equal((await askAs(first, gate)).status, 200, 'warm');
    const bob = sessionIdIn(await gate.enter('bob'), gate.url);
    const { user_id } = await db
      .selectFrom('sessions')
      .select('user_id')
      .orderBy('created_at')
      .executeTakeFirstOrThrow();
    const session = (name: string, usedMsAgo: number, endsInMs: number) => ({
      ...{ hash: name, user_id, provider: 'idp' },
      used_at: new Date(Date.now() - usedMsAgo).toISOString(),
      expires_at: new Date(Date.now() + endsInMs).toISOString(),
    });
    await db
      .insertInto('sessions')
      .values([
        ...Array.from({ length: 60 }, (_, i) => session(`newer ${i}`, 1 - i * 1000, 3_600_000)),
        ...Array.from({ length: 5 }, (_, i) => session(`ended ${i}`, 0, -1)),
      ])
      .execute();
    const last = sessionIdIn(await gate.enter('ann'), gate.url);
    const kept = await db.selectFrom('sessions').select('hash').where('user_id', '=', user_id).execute();
    t.equal(kept.length, 50);
    t.notOk(kept.some((each) => each.hash.startsWith('ended')));
    t.ok(
      kept.some((each) => each.hash === 'newer 59'),
      'the ones that were used last stay',
    );
    await untilRefused(first, gate);
    for (const id of [last, bob]) t.equal((await askAs(id, gate)).status, 200);
  });

  t.test(
    `${dialect}: while the store fails, a warm session counts, and a cold one is told to come again`,
    async (t) => {
      const gate = await startVisitedGateway(t, dialect);
      const { db } = gate.test.database;
      const [warmJar, coldJar] = [await gate.enter('ann'), await gate.enter('bob')];
      const [warm, cold] = [sessionIdIn(warmJar, gate.url), sessionIdIn(coldJar, gate.url)];
      t.equal((await askAs(warm, gate)).status, 200);
      for (const name of lost)
        await sql`ALTER TABLE ${sql.table(name)} RENAME TO ${sql.table(`${name}_away`)}`.execute(db);
      t.equal((await askAs(warm, gate)).status, 200);
      const answer = await askAs(cold, gate);
      t.same(await tellingOf(answer), [503, 'TG_STORE_UNAVAILABLE']);
      t.match(answer.headers.get('retry-after'), /^\d+$/);
      for (const name of lost)
        await sql`ALTER TABLE ${sql.table(`${name}_away`)} RENAME TO ${sql.table(name)}`.execute(db);
      for (const id of [warm, cold]) t.equal((await askAs(id, gate)).status, 200, 'and all is as before');
    },
  );
}

t.test('while the database is away, own paths and the end of a sign-in are told to come again', async (t) => {
  const test = await emptyDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  const gate = await startVisitedGateway(t, 'postgres', { database: { ...test, url: line.url } });
  const jar = await gate.enter('ann');
  const id = sessionIdIn(jar, gate.url);
  t.equal((await askAs(id, gate, '/_tollgate/api/session')).status, 200);
  await line.cut();
  for (const path of ['session', 'keys', 'credits', 'ledger', 'usage']) {
    t.same(await tellingOf(askAs(id, gate, `/_tollgate/api/${path}`)), [503, 'TG_STORE_UNAVAILABLE'], path);
  }
  t.same(await tellingOf(signOut(jar, gate.url)), [503, 'TG_STORE_UNAVAILABLE']);
  introduce(gate.provider, 'ann');
  t.same(await tellingOf((await signIn(new CookieJar(), gate.url, 'idp')).response), [503, 'TG_STORE_UNAVAILABLE']);
});

t.test('the cookie is for the browser and its site alone', async (t) => {
  const plain = await startVisitedGateway(t, 'sqlite');
  t.strictSame(await cookieOf(plain), {
    name: 'tollgate_session',
    terms: ['HttpOnly', 'Max-Age=604800', 'Path=/', 'SameSite=Lax'],
  });
  const within = await startVisitedGateway(t, 'sqlite', {
    publicUrl: 'http://127.0.0.1:PORT/outer',
    session: 'maxAge: 90m',
  });
  t.strictSame(await cookieOf(within), {
    name: 'tollgate_session',
    terms: ['HttpOnly', 'Max-Age=5400', 'Path=/outer', 'SameSite=Lax'],
  });
  const secure = await startVisitedGateway(t, 'sqlite', { publicUrl: 'https://127.0.0.1:PORT/outer' });
  t.strictSame(await cookieOf(secure), {
    name: '__Host-tollgate_session',
    terms: ['HttpOnly', 'Max-Age=604800', 'Path=/', 'SameSite=Lax', 'Secure'],
  });
});

t.test('two cookies of the name, or one that can be no session, are a bad credential', async (t) => {
  const gate = await startVisitedGateway(t, 'sqlite');
  const id = sessionIdIn(await gate.enter('ann'), gate.url);
  const good = `tollgate_session=${id}`;
  const ask = (cookie: string) => tellingOf(askAs('', gate, '/', { headers: { cookie } }));
  t.same(await ask(good), [200, null]);
  t.same(await ask(`a=b; ${good}; c=d`), [200, null]);
  const bad = [
    `${good}; ${good}`,
    `${good}; tollgate_session=`,
    `tollgate_session=x; ${good}`,
    'tollgate_session=',
    'tollgate_session=short',
    `${good}x`,
    `tollgate_session="${id}"`,
    `tollgate_session=${id.slice(0, -1)}%20`,
    `tollgate_session=${id.slice(0, -1)}é`,
    `tollgate_session=${'A'.repeat(43)}`,
  ];
  for (const cookie of bad)
    t.same(await ask(encodeURI(cookie).replaceAll('%20', ' ')), [401, 'TG_AUTH_INVALID'], cookie);
  for (const cookie of [`xtollgate_session=${id}`, `tollgate_session2=${id}`, `__Host-tollgate_session=${id}`]) {
    t.same(await ask(cookie), [401, 'TG_AUTH_MISSING'], cookie);
  }
});

t.test('a session is the last credential that is looked for, and only where the route takes one', async (t) => {
  const routes = ['  - { path: /, upstream: api }', '  - { path: /keys-only, upstream: api, auth: [key] }'].join('\n');
  const gate = await startVisitedGateway(t, 'sqlite', { routes });
  const id = sessionIdIn(await gate.enter('ann'), gate.url);
  const key = await gate.newKey('u', 10);
  t.same(await tellingOf(askAs(id, gate, '/keys-only')), [401, 'TG_AUTH_NOT_ACCEPTED']);
  t.equal(gate.upstream.seen.length, 0);
  const withKey = (text: string, path = '/') => askAs(id, gate, path, { headers: { 'x-api-key': text } });
  for (const path of ['/', '/keys-only']) {
    t.same(await tellingOf(withKey(key, path)), [200, null]);
    t.equal(gate.upstream.seen.at(-1)?.headers['x-tollgate-user'], 'u', 'the key decides');
  }
  const seen = gate.upstream.seen.length;
  t.same(await tellingOf(withKey('nonsense')), [401, 'TG_AUTH_INVALID'], 'a bad one too');
  t.equal(gate.upstream.seen.length, seen);
  const basic = await askAs(id, gate, '/', { headers: { authorization: 'Basic Zm9vOmJhcg==' } });
  t.equal(basic.status, 200, 'what is meant for the upstream is none');
  t.equal(gate.upstream.seen.at(-1)?.headers.authorization, 'Basic Zm9vOmJhcg==');
});

async function untilRefused(id: string, at: Instance): Promise<void> {
  await until(
    async () => (await askAs(id, at, free)).status,
    (status) => status === 401,
  );
}

function signOut(jar: CookieJar, url: string, body: Record<string, unknown> = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return jar.fetch(`${url}/_tollgate/auth/logout`, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** All that is in the tables of a test, as one text. */
async function contentOf({ database: { db }, schema, url }: TestDatabase): Promise<string> {
  const tables = await db.introspection.getTables();
  const own = tables.filter((table) => url.startsWith('sqlite:') || table.schema === schema);
  const rows = own.map(({ name }) => sql`SELECT * FROM ${sql.table(name)}`.execute(db));
  return JSON.stringify((await Promise.all(rows)).map((each) => each.rows));
}

type Visited = Awaited<ReturnType<typeof startVisitedGateway>>;

/** How the session's cookie is set, through a proxy that ends TLS and strips the prefix. */
async function cookieOf(gate: Visited): Promise<{ name: string; terms: string[] }> {
  introduce(gate.provider, 'ann');
  const inner = gate.gateway.address;
  const cookies = new Map<string, string>();
  let next = `${inner}/_tollgate/auth/login/idp`;
  for (;;) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(next, { redirect: 'manual', headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [pair = '', ...terms] = line.split('; ');
      const [name = '', value = ''] = pair.split('=');
      if (name.endsWith('_session')) return { name, terms: terms.sort() };
      cookies.set(name, value);
    }
    const location = answer.headers.get('location');
    if (location === null) throw new Error(`no session: ${answer.status}`);
    next = location.startsWith(gate.url) ? inner + location.slice(gate.url.length) : location;
  }
}
