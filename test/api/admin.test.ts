import t from 'tap';
import type { ErrorCode } from '../../src/errors.ts';
import { generateKey } from '../../src/identity/api-keys.ts';
import { dialects, emptyDatabase, openAgain } from '../helpers/databases.ts';
import { noteCredential } from '../helpers/evidence.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { openLine } from '../helpers/lines.ts';
import { until } from '../helpers/until.ts';
import { startVisitedGateway } from '../helpers/visitors.ts';

const path = '/_tollgate/api/admin';
const token = noteCredential('an admin token of 32 characters!'.replaceAll(' ', '-'));
const auth = `adminTokens: [{ name: billing, token: "${token}" }, { name: ops, token: "${token}2" }]`;
/** What a browser says of a page of the gateway's own origin. */
const ownPage = { 'sec-fetch-site': 'same-origin' };
const costs7 = '  - { path: /, upstream: api, cost: 7 }';

for (const dialect of dialects) {
  t.test(`${dialect}: an operator finds users, page by page, in every order`, async (t) => {
    const { ask } = await startAdministered(t, dialect);
    for (const [email, name] of [
      ['zoe@b.example', 'ann'],
      ['ann@b.example', 'Zoe'],
      ['bob@c.example', '50%_'],
      [null, 'report'],
    ]) {
      t.equal((await ask('POST', '/users', { email, name })).status, 201);
    }
    const [zoe, ann, bob, report] = (await pagesOf(ask, 'sort=created&order=asc')).map(({ id }) => id);
    t.same(await idsOf(ask, 'sort=created'), [report, bob, ann, zoe]);
    t.same(await idsOf(ask, 'sort=email&order=asc'), [report, ann, bob, zoe]);
    t.same(await idsOf(ask, 'sort=name&order=asc'), [bob, zoe, report, ann]);
    await ask('POST', `/users/${bob}/credits`, { kind: 'grant', amount: 1, note: 'more' });
    t.equal((await idsOf(ask, 'sort=credits'))[0], bob);
    t.same(await idsOf(ask, 'search=B.EXAMPLE&sort=email'), [zoe, ann]);
    t.same(await idsOf(ask, 'search=%25_'), [bob], 'what is a pattern elsewhere is text here');
    t.same(await idsOf(ask, 'search=nobody'), []);
    t.match(await ask('GET', '/users?search=%00'), { status: 400, code: 'TG_INPUT_INVALID' });
    const { next } = (await ask('GET', '/users?sort=email&limit=1')).body;
    for (const cursor of ['x', 'WzFd', next, madeUp('\0'), madeUp(1)]) {
      const answer = await ask('GET', `/users?sort=created&cursor=${cursor}`);
      t.match(answer, { status: 400, code: 'TG_INPUT_INVALID' }, String(cursor));
    }
    // Where times are text, this is one among others.
    const status = dialect === 'postgres' ? 400 : 200;
    for (const key of ['1', 'Mon 5', '+275760-09-13T00:00:00.000Z']) {
      t.match(await ask('GET', `/users?sort=created&cursor=${madeUp(key)}`), { status }, key);
    }
  });

  t.test(`${dialect}: a user is made, shown, put on another plan, blocked and let in again`, async (t) => {
    const { ask, gate } = await startAdministered(t, dialect);
    const made = await ask('POST', '/users', { email: 'ann@b.example' });
    t.match(made, { status: 201, body: { email: 'ann@b.example', name: 'ann', plan: 'Basic', credits: 5000 } });
    const user = `/users/${made.body['id']}`;
    t.match(await ask('POST', '/users', { email: 'ANN@b.example' }), { status: 409, code: 'TG_EMAIL_TAKEN' });
    t.match(await ask('GET', user), { status: 200, body: { ...made.body, reserved: 0 } });
    const { key } = (await ask('POST', `${user}/keys`, { name: 'laptop' })).body as { key: string };
    noteCredential(key);
    t.equal((await gate.call(key)).status, 200);
    t.match(await ask('GET', `${user}/keys`), { body: { keys: [{ name: 'laptop', hint: key.slice(0, 9) }] } });
    const blocked = await ask('PATCH', user, { blocked: true });
    t.match(blocked, { status: 200, body: { blockedAt: /Z$/ } });
    t.match(await ask('PATCH', user, { blocked: true }), { body: { blockedAt: blocked.body['blockedAt'] } });
    t.match(await ask('PATCH', user, { blocked: false, plan: 'Basic' }), { body: { blockedAt: null, plan: 'Basic' } });
    t.match(await ask('PATCH', user, { plan: 'Gold' }), { status: 400, code: 'TG_INPUT_INVALID' });
    t.match(await ask('PATCH', user, {}), { status: 400, code: 'TG_INPUT_INVALID' });
    const { body } = await ask('GET', `${user}/keys`);
    const [{ id: keyId } = { id: '' }] = body['keys'] as { id: string }[];
    const replaced = (await ask('POST', `${user}/keys/${keyId}/rotate`, {})).body as { key: string };
    t.equal((await gate.call(noteCredential(replaced.key))).status, 200);
    const revoke = { method: 'DELETE', headers: { authorization: `Bearer ${token}` } };
    t.equal((await gate.call(null, `${path}${user}/keys/${keyId}`, revoke)).status, 204);
    t.match(await ask('POST', `${user}/keys/${keyId}/rotate`, {}), { status: 404, code: 'TG_KEY_NOT_FOUND' });
    t.match(await ask('GET', '/users/nobody/keys'), { status: 404, code: 'TG_USER_NOT_FOUND' });
    t.same(
      gate.log.filter(({ actor }) => actor === 'billing').map(({ msg }) => msg),
      [
        ...['signup', 'an API key was made', 'a user was changed', 'a user was changed', 'a user was changed'],
        ...['an API key was replaced', 'an API key was revoked'],
      ],
      'what was done is in the log',
    );
  });

  t.test(`${dialect}: credits are moved in every way, and each entry says who and why`, async (t) => {
    const { ask, gate } = await startAdministered(t, dialect);
    const { id } = (await ask('POST', '/users', { name: 'u' })).body;
    const move = (body: object, by?: string) =>
      ask('POST', `/users/${id}/credits`, { note: 'because', ...body }, { by });
    t.match(await move({ kind: 'grant', amount: 5 }), {
      status: 200,
      body: { kind: 'grant', amount: 5, balance: 5005 },
    });
    t.match(await move({ kind: 'topup', amount: 10 }), { body: { kind: 'topup', balance: 5015 } });
    t.match(await move({ kind: 'refund', amount: 1 }), { body: { kind: 'refund', balance: 5016 } });
    t.match(await move({ kind: 'deduct', amount: 16 }, `${token}2`), { body: { kind: 'adjustment', balance: 5000 } });
    t.match(await move({ kind: 'deduct', amount: 5001 }), { status: 409, code: 'TG_BALANCE_TOO_LOW' });
    t.match(await move({ kind: 'deduct', amount: 5001, force: true }), { body: { balance: -1 } });
    t.match(await move({ kind: 'set', credits: 9, ifCredits: 0 }), { status: 409, code: 'TG_BALANCE_CHANGED' });
    t.match(await move({ kind: 'set', credits: 9, ifCredits: -1 }), { body: { amount: 10, balance: 9 } });
    t.match(await move({ kind: 'set', credits: 9, ifCredits: 9 }), { body: { entryId: null, amount: 0, balance: 9 } });
    const most = Number.MAX_SAFE_INTEGER;
    t.match(await move({ kind: 'grant', amount: most }), { status: 422, code: 'TG_BALANCE_OUT_OF_RANGE' });
    const missing = await ask('POST', '/users/nobody/credits', { kind: 'grant', amount: 1, note: 'x' });
    t.match(missing, { status: 404, code: 'TG_USER_NOT_FOUND' });
    const { entries } = (await ask('GET', `/users/${id}/ledger?limit=2`)).body as { entries: { id: string }[] };
    t.match(entries, [
      { amount: 10, actor: 'billing', note: 'because' },
      { amount: -5001, actor: 'billing' },
    ]);
    t.same((await ask('GET', `/users/${id}/ledger/${entries[0]?.id}`)).body, entries[0]);
    t.match(await ask('GET', `/users/${id}/usage`), { status: 200, body: { rows: [] } });
    t.match(await ask('GET', '/users/nobody/ledger'), { status: 404, code: 'TG_USER_NOT_FOUND' });
    for (const bad of [{ amount: 0 }, { amount: 1.5 }, { amount: '5' }, { note: ' ' }, { note: null }, { extra: 1 }]) {
      const answer = await move({ kind: 'grant', amount: 5, ...bad });
      t.match(answer, { status: 400, code: 'TG_INPUT_INVALID' }, JSON.stringify(bad));
    }
    const rows = await gate.test.database.db.selectFrom('ledger').selectAll().orderBy('id').execute();
    t.same(
      rows.map(({ amount, actor, note }) => [amount, actor, note]),
      [
        [5000, 'billing', null],
        [5, 'billing', 'because'],
        [10, 'billing', 'because'],
        [1, 'billing', 'because'],
        [-16, 'ops', 'because'],
        [-5001, 'billing', 'because'],
        [10, 'billing', 'because'],
      ],
    );
  });

  t.test(`${dialect}: a change is made once for each Idempotency-Key, whoever answers`, async (t) => {
    const { ask, gate } = await startAdministered(t, dialect);
    const { id } = (await ask('POST', '/users', { name: 'u' })).body;
    const grant = (amount: number, key: string, by?: string) =>
      ask('POST', `/users/${id}/credits`, { kind: 'grant', amount, note: 'once' }, { key, by });
    const first = await grant(5, 'k1');
    t.match(first, { status: 200, body: { balance: 5005 } });
    await grant(1, 'k2');
    t.same(await grant(5, 'k1'), first, 'the same answer, whatever has happened since');
    t.match(await grant(6, 'k1'), { status: 422, code: 'TG_IDEMPOTENCY_KEY_USED' });
    t.match(await grant(7, 'k1', `${token}2`), { status: 200 }, 'the keys of two operators are not the same');
    t.match(await grant(5, 'a key'), { status: 400 });
    const clicks = await Promise.all(Array.from({ length: 10 }, () => grant(100, 'k3')));
    t.same(
      [...new Set(clicks.map(({ status }) => status))].filter((status) => status !== 409),
      [200],
    );
    t.equal((await grant(100, 'k3')).status, 200);
    t.match(await ask('GET', `/users/${id}`), { body: { credits: 5000 + 5 + 1 + 7 + 100 } });
    const deduct = { kind: 'deduct', amount: 9_999, note: 'too much' };
    const refused = () => ask('POST', `/users/${id}/credits`, deduct, { key: 'k4' });
    t.match(await refused(), { status: 409, code: 'TG_BALANCE_TOO_LOW' });
    await grant(9_999, 'k5');
    t.match(await refused(), { status: 200 }, 'what was refused may be tried again');
    const { db } = openAgain(t, gate.test);
    await db.updateTable('idempotency_keys').set({ answer: null }).where('key', '=', 'billing k2').execute();
    t.match(await grant(1, 'k2'), { status: 409, code: 'TG_IDEMPOTENCY_KEY_BUSY' }, 'while the first is under way');
  });

  t.test(`${dialect}: an operator sees who uses what, and how the gateway stands`, async (t) => {
    const { ask, gate } = await startAdministered(t, dialect);
    const key = await gate.newKey('u', 20);
    for (const _ of [1, 2, 3]) await gate.call(key);
    await t.resolveMatch(totalOf(ask, 'user'), { key: 'u', calls: 2, charged: 14, refused: 1 });
    await t.resolveMatch(totalOf(ask, 'route'), { key: '/', calls: 2 });
    await t.resolveMatch(totalOf(ask, 'hour'), { key: /^\d{4}-\d\d-\d\dT\d\d:00:00\.000Z$/, calls: 2 });
    await t.resolveMatch(totalOf(ask, 'day'), { key: /^\d{4}-\d\d-\d\d$/, calls: 2 });
    await gate.call(await gate.newKey('v', 1_000));
    const { status, body } = await until(
      () => ask('GET', '/status'),
      (found) => (found.body as { journal: { charges: number } }).journal.charges === 0,
    );
    t.equal(status, 200);
    t.match(body, {
      // As many as 16 calls cost, less the first.
      instances: [{ id: body['instance'], messages: Number, leases: 1, leasedCredits: 15 * 7 }],
      calls: { held: 0, oldestSeconds: 0 },
      journal: { charges: 0, oldestSeconds: 0, fault: null },
      database: { kind: dialect, isUp: true, secondsSinceSync: Number },
      drift: 0,
    });
  });
}

t.test(
  'while the database is down, programs hear so and how the gateway stands, people that nothing is there',
  async (t) => {
    const test = await emptyDatabase(t, 'postgres');
    const line = await openLine(t, new URL(test.url));
    const database = { ...test, url: line.url };
    const gate = await startVisitedGateway(t, 'postgres', { auth: `admins: [idp:ops@b.example], ${auth}`, database });
    const ops = await gate.enter('ops');
    const asOps = async () => (await ops.fetch(`${gate.url}${path}/users`, { headers: ownPage })).status;
    const asProgram = (place: string) => gate.call(token, path + place);
    t.same([await asOps(), (await asProgram('/users')).status], [200, 200]);
    line.silence();
    await until(
      async () => (await asProgram('/users')).status,
      (status) => status === 503,
    );
    t.equal(await asOps(), 404);
    const answer = await asProgram('/status');
    t.same([answer.status, answer.headers.get('cache-control')], [200, 'no-store']);
    const { instances, database: told } = (await answer.json()) as { instances: null; database: Body };
    t.match({ instances, told }, { instances: null, told: { kind: 'postgres', isUp: false } });
    t.ok(Number(told['secondsSinceSync']) >= 2, 'a database is down when it has said nothing for two seconds');
    await line.heal();
    await until(asOps, (status) => status === 200);
  },
);

t.test('who guesses is counted by address, and hears what everybody hears', async (t) => {
  const { gate } = await startAdministered(t, 'sqlite');
  const key = await gate.newKey('u', 1_000);
  const guess = () => gate.call(`${token}${Math.random()}`, `${path}/users`);
  for (let guesses = 0; guesses < 101; guesses++) t.equal((await guess()).status, 404);
  t.equal((await gate.call(noteCredential(generateKey().key))).status, 429, 'as with any bad credential');
  t.equal((await gate.call(token, `${path}/users`)).status, 200, 'a good one is taken from there too');
  t.equal((await gate.call(key)).status, 200);
});

t.test('to everybody else nothing is there, whatever they show', async (t) => {
  const { gate } = await startAdministered(t, 'sqlite');
  const key = await gate.newKey('u', 20);
  const missing = await told(gate.call(null, '/_tollgate/api/nothing'));
  t.equal(missing.status, 404);
  const strangers: Record<string, string>[] = [
    {},
    { authorization: `Bearer ${key}` },
    { 'x-api-key': key },
    { authorization: `Bearer ${token}x` },
    { authorization: `Basic ${token}` },
    { authorization: token },
    { authorization: 'Bearer ' },
    { 'x-api-key': token },
    { cookie: `tollgate_session=${'a'.repeat(43)}`, 'sec-fetch-site': 'same-origin' },
  ];
  for (const headers of strangers) {
    for (const [method, place] of [
      ['GET', '/users'],
      ['GET', '/status'],
      ['POST', '/users/u/credits'],
      ['DELETE', '/users/u/keys/key_x'],
    ] as const) {
      const answer = await told(gate.call(null, path + place, { method, headers }));
      t.same(answer, missing, `${method} ${place} ${JSON.stringify(headers)}`);
    }
  }
});

for (const dialect of dialects) {
  t.test(
    `${dialect}: people who are listed are operators once they have signed in, in their own pages alone`,
    async (t) => {
      const gate = await startVisitedGateway(t, dialect, { auth: 'admins: [idp:Ops@b.example]' });
      const ops = await gate.enter('ops');
      const ann = await gate.enter('ann');
      const at = `${gate.url}${path}`;
      const own = { 'sec-fetch-site': 'same-origin' };
      t.equal((await ops.fetch(`${at}/users`, { headers: own })).status, 200);
      t.equal((await ann.fetch(`${at}/users`, { headers: own })).status, 404);
      const body = JSON.stringify({ kind: 'grant', amount: 5, note: 'hello' });
      const users = (await (await ops.fetch(`${at}/users?search=ann`, { headers: own })).json()) as Page;
      const grantTo = `${at}/users/${users.users[0]?.id}/credits`;
      const post = (jar: typeof ops, headers: Record<string, string>) =>
        jar.fetch(grantTo, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
      t.equal((await post(ops, { ...own, origin: gate.url })).status, 200);
      const form = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
      for (const site of ['cross-site', 'same-site', 'none']) {
        t.equal((await post(ops, { ...form, 'sec-fetch-site': site, origin: 'https://evil.example' })).status, 404);
      }
      t.equal(
        (await post(ops, { ...own, origin: gate.url, 'x-api-key': 'x' })).status,
        404,
        'the first that is present',
      );
      t.equal((await post(ann, { ...own, origin: gate.url })).status, 404);
      const { db } = gate.test.database;
      t.match(await db.selectFrom('ledger').select(['actor']).where('kind', '=', 'grant').execute(), [
        { actor: 'idp:ops@b.example' },
      ]);
      await db.updateTable('users').set({ blocked_at: new Date().toISOString() }).where('name', '=', 'ops').execute();
      t.equal((await ops.fetch(`${at}/users`, { headers: own })).status, 404, 'nor one who is blocked');
    },
  );
}

type Body = Record<string, unknown>;
type Ask = (
  method: string,
  place: string,
  body?: object,
  as?: { readonly by?: string | undefined; readonly key?: string },
) => Promise<{ status: number; code: ErrorCode | null; body: Body }>;

interface Page {
  readonly users: readonly { readonly id: string }[];
  readonly next: string | null;
}

async function startAdministered(t: Parameters<typeof startTestGateway>[0], dialect: (typeof dialects)[number]) {
  const gate: TestGateway = await startTestGateway(t, dialect, costs7, undefined, { auth });
  noteCredential(`${token}2`);
  const ask: Ask = async (method, place, body, { by = token, key } = {}) => {
    const headers = {
      authorization: `Bearer ${by}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(key !== undefined && { 'idempotency-key': key }),
    };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await gate.call(null, path + place, { method, headers, ...sent });
    const code = answer.headers.get('x-tollgate-error') as ErrorCode | null;
    return { status: answer.status, code, body: (await answer.json()) as Body };
  };
  return { gate, ask };
}

/** All users, two a page. */
async function pagesOf(ask: Ask, query: string): Promise<Page['users'][number][]> {
  const users: Page['users'][number][] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { body }: { body: unknown } = await ask('GET', `/users?limit=2&${query}${cursor && `&cursor=${cursor}`}`);
    const page = body as Page;
    users.push(...page.users);
    cursor = page.next;
  }
  return users;
}

/** A cursor of the usual order. */
function madeUp(key: string | number): string {
  return Buffer.from(JSON.stringify(['created desc', key, 'a'])).toString('base64url');
}

async function idsOf(ask: Ask, query: string): Promise<string[]> {
  return (await pagesOf(ask, query)).map(({ id }) => id);
}

/** The first row, once the calls are in the database. */
async function totalOf(ask: Ask, by: string): Promise<unknown> {
  const rows = await until(
    async () => (await ask('GET', `/usage?by=${by}`)).body['rows'] as { calls: number; refused: number }[],
    ([first]) => first !== undefined && first.calls + first.refused >= 3,
  );
  return rows[0];
}

/** All that an answer tells but the id of its request. */
async function told(answer: Promise<Response>) {
  const response = await answer;
  const { 'x-request-id': _, date: __, ...fields } = Object.fromEntries(response.headers);
  return { status: response.status, fields, body: await response.text() };
}
