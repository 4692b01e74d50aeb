import t, { type Test } from 'tap';
import { grantCredits } from '../../src/store/credits.ts';
import { transact } from '../../src/store/database.ts';
import { createUser, type User } from '../../src/store/users.ts';
import { CookieJar } from '../helpers/cookie-jar.ts';
import { type Dialect, dialects, emptyDatabase } from '../helpers/databases.ts';
import { noteCredential } from '../helpers/evidence.ts';
import { openLine } from '../helpers/lines.ts';
import { until } from '../helpers/until.ts';
import { startVisitedGateway, type VisitedGateway } from '../helpers/visitors.ts';

const admin = '/_tollgate/admin';
const auth = 'admins: [idp:ops@b.example]';
const html = '<script>alert("1")</script>&amp;';
const escaped = '&lt;script>alert(&quot;1&quot;)&lt;/script>&amp;amp;';
const nobody = '01a20f42-04f4-723f-8f81-1081fb509750';

interface Administered {
  readonly gate: VisitedGateway;
  readonly ops: CookieJar;
  /** The text of a page, as the operator sees it. */
  page(path: string, status?: number): Promise<string>;
  /** What a form of a page sends, as its script does. */
  send(method: string, path: string, body: object, once?: string): Promise<{ status: number; body: Body }>;
  newUser(facts?: Partial<{ email: string | null; name: string; credits: number }>): Promise<User>;
}

type Body = Record<string, unknown>;

async function startAdministered(t: Test, dialect: Dialect): Promise<Administered> {
  const gate = await startVisitedGateway(t, dialect, { auth });
  const ops = await gate.enter('ops');
  return {
    gate,
    ops,
    page: async (path, status = 200) => {
      const { response } = await ops.visit(gate.url + admin + path);
      t.equal(response.status, status, path);
      return response.text();
    },
    send: async (method, path, body, once) => {
      const headers = { 'content-type': 'application/json', ...(once !== undefined && { 'idempotency-key': once }) };
      const answer = await ops.fetch(gate.url + path, { method, headers, body: JSON.stringify(body) });
      return { status: answer.status, body: (await answer.json()) as Body };
    },
    newUser: ({ email = null, name = 'u', credits = 100 } = {}) =>
      transact(gate.test.database.db, (trx) => createUser(trx, { email, name, plan: 'Basic', credits }, 'test')),
  };
}

/** The attributes of the first element whose tag holds the text. */
function attributesOf(page: string, tag: string): Record<string, string> {
  const [found = ''] = [...page.matchAll(/<\w[^>]*>/g)].map(([text]) => text).filter((text) => text.includes(tag));
  const attributes = [...found.matchAll(/ ([\w-]+)(?:="([^"]*)")?/g)].map(([, name = '', value = '']) => [name, value]);
  return Object.fromEntries(attributes);
}

/** Names of the fields of the form with this path, in their order. */
function fieldsOf(page: string, path: string): string[] {
  const [, form = ''] = new RegExp(`<form[^>]* data-path="${path}"[^>]*>(.*?)</form>`, 's').exec(page) ?? [];
  return [...form.matchAll(/<(?:input|select)[^>]* name="([^"]+)"/g)].map(([, name = '']) => name);
}

for (const dialect of dialects) {
  t.test(`${dialect}: to everybody but operators no page of theirs is there, whatever they ask and show`, async (t) => {
    const { gate, newUser } = await startAdministered(t, dialect);
    const { id } = await newUser();
    const ann = await gate.enter('ann');
    const key = await gate.newKey('k', 10);
    const forged = `tollgate_session=${noteCredential('A'.repeat(43))}`;
    const asker = (jar: CookieJar, headers: Record<string, string>) => (path: string, accept: string) =>
      jar.fetch(gate.url + path, { headers: { accept, ...headers } });
    const others = [
      asker(new CookieJar(), {}),
      asker(ann, {}),
      asker(ann, { 'sec-fetch-site': 'cross-site' }),
      asker(new CookieJar(), { 'x-api-key': key }),
      asker(new CookieJar(), { authorization: 'Bearer nothing' }),
      asker(new CookieJar(), { cookie: forged }),
    ];
    const user = `${admin}/users/${id}`;
    for (const accept of ['text/html', '*/*']) {
      for (const ask of others) {
        const missing = await told(ask('/_tollgate/nothing', accept));
        t.match(missing, { status: 404, fields: { 'x-tollgate-error': 'TG_ROUTE_NOT_FOUND' } });
        for (const path of [
          ...[admin, `${admin}/`, `${admin}/nothing`, `${admin}/users`, `${admin}/users?sort=x`, user, `${user}x`],
          ...[`${user}/history`, `${user}/history?cursor=x`, `${user}/history/${nobody}`],
          ...[`${admin}/use`, `${admin}/use?range=x`, `${admin}/routes`, `${admin}/state`],
        ]) {
          t.same(await told(ask(path, accept)), missing, `${path} ${accept}`);
        }
      }
    }
    const own = await (await ann.visit(`${gate.url}/_tollgate/`)).response.text();
    t.notMatch(own, /\/admin\//, 'and nothing leads there');
  });

  t.test(`${dialect}: operators are led to the users, and from there to everything`, async (t) => {
    const { gate, ops, page } = await startAdministered(t, dialect);
    const { url, response } = await ops.visit(`${gate.url}${admin}`);
    t.same([url, response.status], [`${gate.url}${admin}/users`, 200]);
    t.match(response.headers.get('content-security-policy'), /script-src 'self'/);
    const users = await response.text();
    for (const [path, title] of [
      ['use', 'Use'],
      ['routes', 'Routes'],
      ['state', 'State'],
    ] as const) {
      t.match(users, `href="${admin}/${path}"`);
      const text = await page(`/${path}`);
      t.match(text, `<h1>${title}</h1>`);
      t.equal(attributesOf(text, `href="${admin}/${path}"`)['aria-current'], 'page');
      const ids = [...text.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
      t.same(ids, [...new Set(ids)], 'no id twice');
      t.notMatch(text, / style=| onclick=|<script>/);
    }
    await page('/nothing', 404);
    await page('/users/nobody', 404);
    await page('/users/%00', 404);
    await page('/users/nobody/history', 404);
    await page(`/users/nobody/history/${nobody}`, 404);
  });

  t.test(`${dialect}: users are found, sorted, and paged through to the end`, async (t) => {
    const { page, newUser } = await startAdministered(t, dialect);
    t.match(await page('/users?search=zoe'), 'No id, name or address holds “zoe”.');
    for (let n = 100; n < 210; n++) await newUser({ name: `Zoe ${n}`, email: `zoe${n}@b.example`, credits: n });
    for (const [query, first, last] of [
      ['sort=created&order=asc', 'Zoe 100', 'Zoe 209'],
      ['sort=email&order=asc', 'Zoe 100', 'Zoe 209'],
      ['sort=name&order=desc', 'Zoe 209', 'Zoe 100'],
      ['sort=credits&order=desc', 'Zoe 209', 'Zoe 100'],
    ] as const) {
      const names: string[] = [];
      for (let next: string | undefined = `/users?search=zoe&${query}`; next !== undefined && names.length < 200; ) {
        const text: string = await page(next);
        names.push(
          ...[...text.matchAll(/<a href="[^"]*\/admin\/users\/\w+">([^<]+)<\/a>/g)].map(([, name = '']) => name),
        );
        const { href } = attributesOf(text, 'rel="next"');
        next = href?.replaceAll('&amp;', '&').slice(admin.length);
      }
      t.same([names.length, new Set(names).size, names[0], names.at(-1)], [110, 110, first, last], query);
    }
    const sorted = await page('/users?sort=name&order=asc&search=zoe');
    t.match(sorted, /<th[^>]* aria-sort="ascending"[^>]*><a href="[^"]*sort=name&amp;order=desc">Name/);
    t.match(await page('/users?sort=created&order=asc&search='), 'Zoe 101', 'a search for nothing is one for all');
    for (const query of ['cursor=x', 'sort=name&cursor=W10', 'sort=x', 'order=x', 'search=%00']) {
      await page(`/users?${query}`, 400);
    }
  });

  t.test(`${dialect}: what names, addresses, notes and searches hold is text, whatever it looks like`, async (t) => {
    const { gate, page, newUser } = await startAdministered(t, dialect);
    const { id } = await newUser({ name: html, email: `${'<b>'.repeat(20)}@b.example`, credits: 10 });
    const { db } = gate.test.database;
    const reason = { actor: html, note: html };
    const { entryId } = await transact(db, (trx) => grantCredits(trx, id, 5, reason));
    const hour = `${new Date().toISOString().slice(0, 13)}:00:00.000Z`;
    const use = { route: html, calls: 1, charged: 7, failed: 1, refused: 0 };
    await db
      .insertInto('usage_hourly')
      .values({ user_id: id, hour, ...use })
      .execute();
    await db
      .insertInto('usage_totals')
      .values({ hour, shard: 0, ...use })
      .execute();
    for (const path of [
      '/users',
      `/users?search=${encodeURIComponent('<script>alert')}`,
      `/users/${id}`,
      `/users/${id}/history`,
      `/users/${id}/history/${entryId}`,
      '/use',
    ]) {
      const text = await page(path);
      t.notMatch(text, /<script>|<b>/, path);
      t.ok(text.includes(escaped), path);
    }
    t.ok((await page(`/users?search=${encodeURIComponent(html)}x`)).includes(escaped), 'also where nothing is found');
  });

  t.test(`${dialect}: an operator makes a user, and moves credits with the forms of the page`, async (t) => {
    const { ops, gate, page, send } = await startAdministered(t, dialect);
    const users = await page('/users');
    const api = '/_tollgate/api/admin/users';
    t.match(attributesOf(users, `data-path="${api}"`), {
      'data-method': 'POST',
      'data-then': 'go',
      'data-to': `${admin}/users`,
    });
    t.same(fieldsOf(users, api), ['email', 'name', 'plan']);
    const made = await send('POST', api, { email: 'ann@b.example', plan: 'Basic' });
    t.equal(made.status, 201);
    const path = `${api}/${made.body['id']}`;
    const user = `/users/${made.body['id']}`;
    const shown = await page(user);
    t.match(attributesOf(shown, `data-path="${path}/credits"`), { 'data-method': 'POST', 'data-once': '' });
    t.same(fieldsOf(shown, `${path}/credits`), ['kind', 'amount', 'ifCredits', 'credits', 'note', 'force']);
    for (const name of ['amount', 'ifCredits', 'credits']) {
      t.equal(attributesOf(shown, `name="${name}"`)['data-type'], 'integer', name);
    }
    t.match(attributesOf(shown, 'name="note"'), { required: '', maxlength: '500' });
    t.equal(attributesOf(shown, 'name="ifCredits"')['value'], '5000', 'what is shown is what is compared');
    const kinds = [...shown.matchAll(/<option[^>]* value="(grant|topup|refund|deduct|set)"/g)].map(([, kind]) => kind);
    t.same(kinds, ['grant', 'topup', 'refund', 'deduct', 'set']);
    const grant = { kind: 'grant', amount: 5, note: 'a present' };
    const clicks = await Promise.all([1, 2].map(() => send('POST', `${path}/credits`, grant, 'once')));
    t.ok(clicks.every(({ status }) => status === 200 || status === 409));
    t.match(await page(user), '>5,005</p>', 'it was made once');
    const late = { kind: 'set', credits: 1, ifCredits: 5000, note: 'late' };
    t.match(await send('POST', `${path}/credits`, late), { status: 409 });
    const history = await page(`${user}/history`);
    t.match(history, 'a present');
    const [, entry = ''] = new RegExp(`href="${admin}(${user}/history/[\\w-]+)"`).exec(history) ?? [];
    const receipt = await page(entry);
    t.match(receipt, 'idp:ops@b.example', 'a receipt says who did it');
    t.match(receipt, 'a present');
    const foreign = await ops.visit(`${gate.url}/_tollgate/history/${entry.split('/').at(-1)}`);
    t.equal(foreign.response.status, 404, 'which is not among the own');
  });

  t.test(
    `${dialect}: an operator changes the plan of a user, blocks them, and makes and ends their keys`,
    async (t) => {
      const { page, send, newUser } = await startAdministered(t, dialect);
      const { id } = await newUser({ name: 'ann', email: 'ann@b.example' });
      const api = `/_tollgate/api/admin/users/${id}`;
      const user = `/users/${id}`;
      const free = await page(user);
      t.same(fieldsOf(free, api), ['plan']);
      t.match(attributesOf(free, 'name="blocked"'), { value: 'true', 'data-type': 'boolean' });
      t.match(free, 'data-confirm="Block ann@b.example?');
      t.match(await send('PATCH', api, { blocked: true }), { status: 200 });
      const blocked = await page(user);
      t.match(attributesOf(blocked, 'name="blocked"'), { value: 'false' });
      t.match(blocked, '<span class="badge bad">blocked</span>');
      t.match(await page('/users'), '<span class="badge bad">blocked</span>');
      t.match(attributesOf(blocked, `data-path="${api}/keys"`), { 'data-method': 'POST', 'data-then': 'key' });
      const { body } = await send('POST', `${api}/keys`, { name: 'laptop' });
      noteCredential(String(body['key']));
      const withKey = await page(user);
      t.match(withKey, 'laptop');
      t.notMatch(withKey, String(body['key']), 'a key is shown once');
      t.match(attributesOf(withKey, `data-path="${api}/keys/${body['id']}/rotate"`), { 'data-method': 'POST' });
      t.match(attributesOf(withKey, `data-path="${api}/keys/${body['id']}"`), { 'data-method': 'DELETE' });
    },
  );

  t.test(`${dialect}: use is told by time, route and user, with what failed`, async (t) => {
    const { gate, page, newUser } = await startAdministered(t, dialect);
    const none = await page('/use');
    t.match(none, 'Nothing was called in this time.');
    t.match(none, 'Nobody has called in this time.');
    const key = await gate.newKey('k', 100);
    for (const path of ['/', '/', '/status/500']) await (await gate.call(key, path)).text();
    const row =
      /<th[^>]*>\/<\/th><td class="number">14<\/td>.*?<td class="number">2<\/td><td class="number bad">1 \(33 %\)/;
    await until(
      () => page('/use'),
      (text) => row.test(text),
    );
    for (const range of ['24h', '7d', '30d']) {
      const text = await page(`/use?range=${range}`);
      t.match(text, row, range);
      t.match(text, `<a href="${admin}/users/k">k</a>`, range);
      t.match(text, 'role="img"', range);
    }
    await page('/use?range=1y', 400);
    const { id } = await newUser();
    t.notMatch(await page('/use'), id, 'who has not called is not there');
  });

  t.test(`${dialect}: how the gateway stands is told with a verdict`, async (t) => {
    const { gate, page, newUser } = await startAdministered(t, dialect);
    const key = await gate.newKey('k', 100);
    await (await gate.call(key)).text();
    const told = await until(
      () => page('/state'),
      (text) => text.includes('Every charge is in the database.'),
    );
    t.match(told, 'The books are right');
    t.match(told, `${dialect === 'postgres' ? 'PostgreSQL' : 'SQLite'} is up`);
    t.match(told, 'The last exchange was less than a second ago.');
    t.match(told, '1 instance<');
    t.match(told, /<code>[\w-]{36}<\/code> <span class="badge good">answers<\/span>/);
    t.match(attributesOf(told, 'data-live'), { id: 'state' });
    const { id } = await newUser();
    const entry = { id: nobody, user_id: id, kind: 'grant' as const, amount: 7, actor: 'a hand' };
    await gate.test.database.db.insertInto('ledger').values(entry).execute();
    const differing = await until(
      () => page('/state'),
      (text) => text.includes('Balances differ by 7 credits'),
    );
    t.match(differing, 'tollgate audit');
    t.notMatch(differing, 'The books are right');
  });
}

t.test('routes are told in the order in which they are tried, without what opens an upstream', async (t) => {
  const routes = [
    '  - { path: /, upstream: api, cost: 1 }',
    '  - { path: /v1/chat, upstream: api, cost: 3, exact: true, name: whole }',
    '  - { path: /v1/chat, upstream: api, cost: 25, methods: [POST], name: chat, auth: [key], maxBodySize: 1MB }',
    '  - { path: /v1/models, upstream: api, auth: none, headers: { request: { set: { x-secret: hush-hush } } } }',
  ].join('\n');
  const gate = await startVisitedGateway(t, 'sqlite', { auth, routes });
  const ops = await gate.enter('ops');
  const text = await (await ops.visit(`${gate.url}${admin}/routes`)).response.text();
  const rows = [...text.matchAll(/<tr>(<th scope="row".*?)<\/tr>/g)].map(([, row = '']) =>
    row.replaceAll(/<\/t[hd]>/g, '|').replaceAll(/<[^>]*>/g, ''),
  );
  t.same(rows, [
    '/v1/models and below|all|free||anyone|api|silence up to 5 min|',
    '/v1/chat and belowchat|POST|25||API key|api|body up to 1 MB; silence up to 5 min|',
    '/v1/chatwhole|all|3||API key, access token, signed in|api|silence up to 5 min|',
    '/ and below|all|1||API key, access token, signed in|api|silence up to 5 min|',
  ]);
  t.notMatch(text, /hush-hush|127\.0\.0\.1/);
});

t.test(
  'while the database is down, who shows a session is told so at every path, and strangers that nothing is there',
  async (t) => {
    const test = await emptyDatabase(t, 'postgres');
    const line = await openLine(t, new URL(test.url));
    const gate = await startVisitedGateway(t, 'postgres', { auth, database: { ...test, url: line.url } });
    const jars = [await gate.enter('ops'), await gate.enter('ann')];
    const statusOf = async (jar: CookieJar, path: string) => (await jar.visit(gate.url + path)).response.status;
    // With the charge of a later call the gateway has heard that there are new users, and then remembers who they are.
    await (await gate.call(await gate.newKey('k', 100))).text();
    const charges = test.database.db.selectFrom('ledger').select('id').where('kind', '=', 'charge');
    await until(
      () => charges.execute(),
      ({ length }) => length === 1,
    );
    t.same([await statusOf(jars[0] as CookieJar, admin), await statusOf(jars[1] as CookieJar, admin)], [200, 404]);
    await line.cut();
    t.equal(await statusOf(jars[0] as CookieJar, `${admin}/users`), 503, 'from the first moment on');
    await until(
      () => statusOf(jars[0] as CookieJar, '/_tollgate/api/admin/users'),
      (status) => status === 404,
    );
    for (const path of [admin, `${admin}/users`, `${admin}/state`, `${admin}/nothing`]) {
      for (const jar of jars) t.equal(await statusOf(jar, path), 503, path);
      t.equal(await statusOf(new CookieJar(), path), 404, path);
    }
    await line.heal();
    await until(
      () => statusOf(jars[0] as CookieJar, `${admin}/users`),
      (status) => status === 200,
    );
    t.equal(await statusOf(jars[1] as CookieJar, `${admin}/users`), 404);
  },
);

/** An answer, without what is of the one request alone. */
async function told(
  asked: Promise<Response>,
): Promise<{ status: number; fields: Record<string, string>; text: string }> {
  const answer = await asked;
  const fields = Object.fromEntries([...answer.headers].filter(([name]) => name !== 'date'));
  const { 'x-request-id': id = '' } = fields;
  delete fields['x-request-id'];
  return { status: answer.status, fields, text: (await answer.text()).replaceAll(id, 'ID') };
}
