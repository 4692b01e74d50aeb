import { sql } from 'kysely';
import t from 'tap';
import { generateKey } from '../../src/identity/api-keys.ts';
import { transact } from '../../src/store/database.ts';
import { createKeyWithin } from '../../src/store/keys.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { noteCredential } from '../helpers/evidence.ts';
import { audience, startIdentityProvider } from '../helpers/identity-provider.ts';
import { addUser } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';
import { askAs, sessionIdIn, startVisitedGateway, tellingOf, type VisitedGateway } from '../helpers/visitors.ts';

const path = '/_tollgate/api/keys';
/** What is asked again and again costs nothing. */
const free = '/status/404';

for (const dialect of dialects) {
  t.test(`${dialect}: somebody makes a key, sees it once, and calls with it`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const ann = await personAt(gate, 'ann');
    const answer = await ann.post('', { name: 'laptop' });
    t.equal(answer.status, 201);
    t.equal(answer.headers.get('cache-control'), 'no-store');
    const made = await keyIn(answer);
    const { key, ...shown } = made;
    t.match(key, /^tg_[0-9A-Za-z]{38}$/);
    t.strictSame(shown, {
      id: made.id,
      name: 'laptop',
      hint: key.slice(0, made.hint.length),
      limit: null,
      spent: 0,
      expiresAt: null,
      revokedAt: null,
      previousExpiresAt: null,
      lastUsedAt: null,
      createdAt: made.createdAt,
    });
    t.strictSame(await ann.list(), [shown], 'and never again');
    t.equal((await gate.call(key, '/things')).status, 200);
    const [used] = await until(
      () => ann.list(),
      ([first]) => first?.lastUsedAt !== null,
    );
    t.match(used?.lastUsedAt, /Z$/);
    t.equal((await ann.post('')).status, 201, 'who says nothing gets a key without terms');
    t.match(await ann.list(), [{ name: 'laptop' }, { name: 'key', limit: null, expiresAt: null }]);
  });

  t.test(`${dialect}: a key keeps to its limit, and ends when it was said to`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const ann = await personAt(gate, 'ann');
    const limited = await keyIn(await ann.post('', { limit: 10 }));
    t.equal(limited.limit, 10);
    t.equal((await gate.call(limited.key)).status, 200);
    t.same(await tellingOf(gate.call(limited.key)), [402, 'TG_KEY_LIMIT_REACHED']);
    const before = Date.now();
    const short = await keyIn(await ann.post('', { expires: '1s' }));
    const endsAt = Date.parse(short.expiresAt ?? '');
    t.ok(endsAt >= before + 1000 && endsAt <= Date.now() + 1000);
    t.equal((await gate.call(short.key)).status, 200);
    await until(
      async () => (await gate.call(short.key, free)).status,
      (status) => status === 401,
    );
    t.ok(Date.now() >= endsAt);
    const long = await keyIn(await ann.post('', { expires: '90d' }));
    t.ok(Math.abs(Date.parse(long.expiresAt ?? '') - Date.now() - 90 * 24 * 3_600_000) < 60_000);
  });

  t.test(`${dialect}: a bad request gets a clear error and changes nothing`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const ann = await personAt(gate, 'ann');
    const { id } = await keyIn(await ann.post('', { name: 'only' }));
    const kept = await ann.list();
    const bad: [unknown, RegExp][] = [
      [{ limt: 5 }, /additional properties/],
      [{ limit: -1 }, /limit/],
      [{ limit: 0 }, /limit/],
      [{ limit: 1.5 }, /limit/],
      [{ limit: '5' }, /limit/],
      [{ limit: true }, /limit/],
      [{ limit: 9_007_199_254_740_992 }, /limit/],
      [{ name: 5 }, /name/],
      [{ name: null }, /name/],
      [{ name: '' }, /name/],
      [{ name: '  ' }, /name/],
      [{ name: 'a\u009bb' }, /name/],
      [{ name: '\ud800' }, /name/],
      [{ name: 'a\nb' }, /name/],
      [{ name: 'a\u0000b' }, /name/],
      [{ name: 'x'.repeat(65) }, /name/],
      [{ expires: '0d' }, /expires/],
      [{ expires: '-1d' }, /expires/],
      [{ expires: '1.5d' }, /expires/],
      [{ expires: '1y' }, /expires/],
      [{ expires: 90 }, /expires/],
      [{ expires: '1000000d' }, /expires/],
      [[], /object/],
      ['text', /object/],
      [5, /object/],
    ];
    for (const [body, told] of bad) {
      const answer = await ann.post('', body);
      t.same(await tellingOf(answer), [400, 'TG_INPUT_INVALID'], JSON.stringify(body));
      t.match(await answer.json(), { code: 'TG_INPUT_INVALID', input: told });
    }
    for (const body of [{ overlap: '-1h' }, { overlap: 5 }, { overlap: '1.5h' }, { overlp: '1h' }, { overlap: null }]) {
      const answer = await ann.post(`/${id}/rotate`, body);
      t.same(await tellingOf(answer), [400, 'TG_INPUT_INVALID'], JSON.stringify(body));
    }
    const malformed: [string, string][] = [
      ['application/json', '{"name":'],
      ['application/json', '{"name":"a","__proto__":{"limit":1}}'],
      ['application/x-www-form-urlencoded', 'name=a'],
      ['application/xml', '<name/>'],
      ['text/plain', '{"name":"a"}'],
    ];
    for (const [type, body] of malformed) {
      const answer = await askAs(ann.session, gate, path, {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      t.equal(answer.status, 400, `${type} ${body}`);
    }
    const tooLong = await ann.post('', { name: 'x'.repeat(5_000) });
    t.same(await tellingOf(tooLong), [413, 'TG_BODY_TOO_LARGE']);
    t.strictSame(await ann.list(), kept);
  });

  t.test(`${dialect}: a rotated key is good beside the new one for the overlap, else ends at once`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const ann = await personAt(gate, 'ann');
    const first = await keyIn(await ann.post('', { name: 'a', limit: 100 }));
    t.equal((await gate.call(first.key)).status, 200);
    const answer = await ann.post(`/${first.id}/rotate`, { overlap: '2s' });
    t.equal(answer.status, 200);
    const second = await keyIn(answer);
    t.match(second, { id: first.id, name: 'a', limit: 100, previousExpiresAt: /Z$/ });
    t.not(second.key, first.key);
    t.equal((await gate.call(second.key)).status, 200);
    t.equal((await gate.call(first.key)).status, 200, 'both');
    await until(
      async () => (await gate.call(first.key, free)).status,
      (status) => status === 401,
    );
    t.ok(Date.now() >= Date.parse(second.previousExpiresAt ?? ''));
    t.equal((await gate.call(second.key)).status, 200, 'then one');
    const third = await keyIn(await ann.post(`/${first.id}/rotate`));
    await untilRefused(gate, second.key);
    t.equal((await gate.call(third.key)).status, 200);
    t.equal((await ann.list()).length, 1);
  });

  t.test(`${dialect}: a revoked key is refused by every gateway within a second`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const another = await gate.startAnother(t);
    const ann = await personAt(gate, 'ann');
    const { id, key } = await keyIn(await ann.post('', {}));
    for (const { call } of [gate, another]) t.equal((await call(key)).status, 200);
    const before = performance.now();
    t.equal((await ann.remove(id)).status, 204);
    await Promise.all([gate, another].map((at) => untilRefused(at, key)));
    t.ok(performance.now() - before < 1500, 'and no later, on a busy machine');
    t.match(await ann.list(), [{ id, revokedAt: /Z$/ }]);
    t.equal((await ann.remove(id)).status, 204, 'once more is fine');
    t.same(await tellingOf(ann.post(`/${id}/rotate`)), [404, 'TG_KEY_NOT_FOUND'], 'and there is no way back');
  });

  t.test(`${dialect}: of other people's keys nothing is told and nothing can be done to them`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const [ann, bob] = [await personAt(gate, 'ann'), await personAt(gate, 'bob')];
    const { id, key } = await keyIn(await ann.post('', { name: 'mine' }));
    const kept = await ann.list();
    t.same(await bob.list(), []);
    const wordsOf = async (answer: Response) => {
      const { requestId: _, ...words } = (await answer.json()) as Record<string, unknown>;
      return [answer.status, words];
    };
    const [theirs, nobodys] = [id, `${id.slice(0, -3)}zzz`];
    const none = await wordsOf(await bob.remove(nobodys));
    t.match(none, [404, { code: 'TG_KEY_NOT_FOUND' }]);
    t.same(await wordsOf(await bob.remove(theirs)), none);
    t.same(await wordsOf(await bob.post(`/${theirs}/rotate`)), none);
    t.same(await wordsOf(await bob.post(`/${nobodys}/rotate`)), none);
    for (const odd of ['%00', '%27', '..%2f', 'x'.repeat(500), '%F0%9F%92%A9', '%ff']) {
      t.ok([400, 404].includes((await bob.remove(odd)).status), odd);
    }
    t.same(await ann.list(), kept);
    t.equal((await gate.call(key)).status, 200);
  });

  t.test(`${dialect}: nobody has more than 100 good keys, however many are made at once`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const ann = await personAt(gate, 'ann');
    const { id } = await keyIn(await ann.post('', {}));
    await fill(gate, await ann.userId(), 89);
    const answers = await Promise.all(Array.from({ length: 25 }, () => ann.post('', {})));
    const made = answers.filter(({ status }) => status === 201);
    t.equal(made.length, 10);
    for (const answer of made) await keyIn(answer);
    const refused = answers.filter(({ status }) => status === 409);
    t.equal(refused.length, 15);
    for (const answer of refused) t.equal(answer.headers.get('x-tollgate-error'), 'TG_KEYS_TOO_MANY');
    t.equal((await ann.remove(id)).status, 204);
    const answer = await ann.post('', {});
    t.equal(answer.status, 201, 'one that is revoked makes room');
    await keyIn(answer);
  });
}

t.test('postgres: the limit on keys holds whatever isolation the database has by default', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'u', 0);
  const strict = new URL(test.url);
  const settings = `-c search_path=${test.schema} -c default_transaction_isolation=repeatable\\ read`;
  strict.searchParams.set('options', settings);
  const again = openAgain(t, { ...test, url: strict.href }).db;
  const { rows } = await sql`SHOW default_transaction_isolation`.execute(again);
  t.match(rows, [{ default_transaction_isolation: 'repeatable read' }]);
  const terms = { userId: 'u', name: 'k', limit: null, expiresAt: null };
  const made = Array.from({ length: 20 }, () =>
    transact(again, (trx) => createKeyWithin(trx, terms, generateKey(), 5)),
  );
  t.equal((await Promise.all(made)).filter((key) => key !== null).length, 5);
});

t.test('no path of the gateway itself reads a body that is large, wanted or not', async (t) => {
  const gate = await startVisitedGateway(t, 'sqlite');
  const ann = await personAt(gate, 'ann');
  const body = JSON.stringify('x'.repeat(5_000));
  for (const [method, path] of [
    ['POST', '/_tollgate/api/keys'],
    ['DELETE', '/_tollgate/api/keys/key_x'],
    ['POST', '/_tollgate/api/keys/key_x/rotate'],
    ['POST', '/_tollgate/auth/logout'],
  ] as const) {
    const headers = { origin: gate.url, 'content-type': 'application/json' };
    t.same(
      await tellingOf(askAs(ann.session, gate, path, { method, headers, body })),
      [413, 'TG_BODY_TOO_LARGE'],
      path,
    );
  }
});

t.test('keys and tokens may look at keys, but not make, replace or revoke them', async (t) => {
  const issuer = await startIdentityProvider(t);
  const auth = `bearer: [{ issuer: "${issuer.issuer}", audience: "${audience}" }]`;
  const gate = await startVisitedGateway(t, 'sqlite', { auth });
  const ann = await personAt(gate, 'ann');
  const { id, key } = await keyIn(await ann.post('', { name: 'mine' }));
  t.match(await (await gate.call(key, path)).json(), { keys: [{ id, name: 'mine' }] });
  const token = await issuer.accessToken();
  t.same(await (await gate.call(token, path)).json(), { keys: [] });
  for (const credential of [key, token]) {
    for (const [method, below] of [
      ['POST', ''],
      ['POST', `/${id}/rotate`],
      ['DELETE', `/${id}`],
    ] as const) {
      const headers = { cookie: `tollgate_session=${ann.session}`, 'sec-fetch-site': 'same-origin' };
      for (const init of [{ method }, { method, headers }]) {
        const telling = await tellingOf(gate.call(credential, path + below, init));
        t.same(telling, [401, 'TG_AUTH_NOT_ACCEPTED'], `${method} ${below}`);
      }
    }
  }
  t.match(await ann.list(), [{ id, revokedAt: null }]);
  t.equal((await ann.list()).length, 1);
});

t.test('where nobody signs in, keys can be looked at all the same', async (t) => {
  const { startTestGateway } = await import('../helpers/gateways.ts');
  const gate = await startTestGateway(t, 'sqlite', '  - { path: /, upstream: api }');
  const key = await gate.newKey('u', 10);
  t.match(await (await gate.call(key, path)).json(), { keys: [{ name: 'test' }] });
  t.same(await tellingOf(gate.call(key, path, { method: 'POST' })), [401, 'TG_AUTH_NOT_ACCEPTED']);
});

interface ShownKey {
  readonly id: string;
  readonly name: string;
  readonly hint: string;
  readonly limit: number | null;
  readonly expiresAt: string | null;
  readonly previousExpiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly createdAt: string;
}

async function personAt(gate: VisitedGateway, name: string) {
  const session = sessionIdIn(await gate.enter(name), gate.url);
  const send = (method: string, below: string, body?: unknown) => {
    const headers = {
      accept: 'application/problem+json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    return askAs(session, gate, path + below, init);
  };
  return {
    session,
    post: (below: string, body?: unknown) => send('POST', below, body),
    remove: (id: string) => send('DELETE', `/${id}`),
    list: async () => ((await (await askAs(session, gate, path)).json()) as { keys: ShownKey[] }).keys,
    userId: async () => {
      const answer = await askAs(session, gate, '/_tollgate/api/session');
      return ((await answer.json()) as { user: { id: string } }).user.id;
    },
  };
}

async function keyIn(answer: Response): Promise<ShownKey & { readonly key: string }> {
  const made = (await answer.json()) as ShownKey & { readonly key: string };
  noteCredential(made.key);
  return made;
}

async function untilRefused({ call }: Pick<VisitedGateway, 'call'>, key: string): Promise<void> {
  await until(
    async () => (await call(key, free)).status,
    (status) => status === 401,
  );
}

async function fill({ test }: VisitedGateway, user: string, count: number): Promise<void> {
  const keys = Array.from({ length: count }, (_, i) => ({
    id: `key_${i}`,
    user_id: user,
    name: 'many',
    hash: `hash ${i}`,
    hint: 'tg_',
  }));
  await test.database.db.insertInto('api_keys').values(keys).execute();
}
