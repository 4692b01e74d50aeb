import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Validator } from '@seriousme/openapi-schema-validator';
import type { FastifyInstance } from 'fastify';
import t, { type Test } from 'tap';
import { renderOpenApi } from '../../scripts/openapi.ts';
import { generateKey } from '../../src/identity/api-keys.ts';
import { dialects, emptyDatabase } from '../helpers/databases.ts';
import { noteCredential } from '../helpers/evidence.ts';
import { openLine } from '../helpers/lines.ts';
import { until } from '../helpers/until.ts';
import { introduce, startVisitedGateway } from '../helpers/visitors.ts';
import { ApiClient, place, problems, type Told } from './api-client.ts';
import { type Asked, document, documentText, faultsOfAnswer, type Operation, operations } from './api-document.ts';

t.test('the document is valid OpenAPI 3.1, and what `npm run docs` writes', async (t) => {
  t.equal(await renderOpenApi(), documentText);
  const validator = new Validator();
  t.same(await validator.validate(document), { valid: true });
  t.equal(validator.version, '3.1');
  const tags = document.tags.map(({ name }) => name);
  for (const { id, summary, tags: own } of operations.values()) {
    t.match(summary, /^[A-Z].*[^.]$/, id);
    t.ok(own.length === 1 && tags.includes(own[0] ?? ''), id);
  }
  const all = Object.values(document.paths).flatMap((item) => Object.keys(item));
  t.equal(operations.size, all.length, 'no two operations have one name');
});

t.test('paths are right wherever the document lies', async (t) => {
  const [{ url }] = document.servers;
  t.equal(new URL(url, `http://a.example${place}`).href, 'http://a.example/');
  t.equal(
    new URL(url, `http://a.example/gw${place}`).href,
    'http://a.example/gw/',
    'also behind a path that is taken away',
  );
  for (const { path } of operations.values()) t.match(path, /^\/_tollgate\//);
});

for (const dialect of dialects) {
  t.test(
    `${dialect}: every path of the API is in the document, and answers to every operation as it says`,
    async (t) => {
      const routes = noteRoutes(t);
      const api = await ApiClient.start(t, dialect);
      const told = [...operations.values()].map(({ method, path }) => `${method} ${path}`);
      t.same(routes.sort(), told.sort());
      await signInThrough(t, api);
      await askAboutOneself(t, api);
      await administer(t, api);
      await api.ask(t, 'signOut', 204, { as: 'session' });
      await api.ask(t, 'getSession', 401, { as: 'session' });
      t.same(
        [...operations.keys()].filter((id) => !api.done.has(id)),
        [],
        'every operation was carried out',
      );
    },
  );
}

t.test('every operation takes the credentials that the document names, and no others', async (t) => {
  const api = await ApiClient.start(t, 'sqlite');
  await signInThrough(t, api);
  const refusals = /^TG_(?:AUTH_\w+|ROUTE_NOT_FOUND)$/;
  for (const operation of operations.values()) {
    if (operation.path.includes('/auth/')) continue;
    const asked = strangeAsk(operation);
    for (const as of Object.keys(document.components.securitySchemes)) {
      const code = (await api.send(operation, { ...asked, as })).headers.get('x-tollgate-error') ?? '';
      t.equal(!refusals.test(code), operation.credentials.includes(as), `${operation.id} as ${as}: ${code}`);
    }
  }
});

t.test('what does not fit the document is refused as the document says, in both forms', async (t) => {
  const api = await ApiClient.start(t, 'sqlite');
  await signInThrough(t, api);
  for (const operation of operations.values()) {
    const { id, credentials, parameters, body } = operation;
    const [as = null] = credentials.toReversed();
    const asked = strangeAsk(operation);
    for (const accept of ['*/*', problems]) {
      const isOpen = credentials.length === 0 || id === 'signOut';
      const stranger = await api.send(operation, { ...asked, as: null, accept });
      if (!isOpen) t.equal(stranger.status, operation.path.includes('/admin/') ? 404 : 401, id);
      t.same(await faultsOfAnswer(operation, stranger), []);
      if (body !== null) await api.refuse(t, operation, 400, { ...asked, as, accept, body: { noSuchMember: 1 } });
      for (const { name, schema } of parameters.filter((parameter) => parameter.in === 'query')) {
        if (schema.type !== 'integer' && schema.enum === undefined) continue;
        await api.refuse(t, operation, 400, { ...asked, as, accept, query: { [name]: 'x-y' } });
      }
      if (/\{(?:entryId|keyId|id)\}/.test(operation.path) && body === null) {
        await api.refuse(t, operation, 404, { ...asked, as, accept });
      }
    }
  }
});

t.test('the document is there for everybody, and while the database is down', async (t) => {
  const test = await emptyDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  const gate = await startVisitedGateway(t, 'postgres', { database: { ...test, url: line.url } });
  line.silence();
  await until(
    async () => (await gate.call(noteCredential(generateKey().key), '/_tollgate/api/credits')).status,
    (status) => status === 503,
  );
  const answer = await gate.call(null, place);
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8');
  t.equal(answer.headers.get('cache-control'), 'public, max-age=300');
  t.equal(await answer.text(), documentText);
  t.equal((await gate.call(null, place, { method: 'POST' })).status, 404);
  await line.heal();
});

/** The paths that gateways register below `api` and `auth` from now on; they fill as one starts. */
function noteRoutes(t: Test): string[] {
  const routes: string[] = [];
  const listen = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance };
    fastify.addHook('onRoute', ({ method, url }) => {
      if (/^\/_tollgate\/(?:api|auth)\//.test(url)) routes.push(`${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`);
    });
  };
  subscribe('fastify.initialization', listen);
  t.teardown(() => unsubscribe('fastify.initialization', listen));
  return routes;
}

/** About what is not there. */
function strangeAsk({ parameters }: Operation): Pick<Asked, 'params'> {
  const names = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
  return { params: Object.fromEntries(names.map((name) => [name, 'nobody'])) };
}

/** Ann signs in, step by step. */
async function signInThrough(t: Test, api: ApiClient): Promise<void> {
  introduce(api.gate.provider, 'ann');
  const params = { provider: 'idp' };
  await api.ask(t, 'beginSignIn', 'TG_ROUTE_NOT_FOUND', { params: { provider: 'other' } });
  const seen = await api.ask(t, 'finishSignIn', 'TG_SIGN_IN_FAILED', { params, accept: 'text/html' });
  t.match(seen.headers.get('content-type'), /^text\/html/, 'people see a page');
  await api.ask(t, 'beginSignIn', 'TG_INPUT_INVALID', { params, query: { returnTo: 'http://b.example/' } });
  await api.ask(t, 'finishSignIn', 'TG_SIGN_IN_FAILED', { params, query: { code: 'c', state: 's' } });
  const begun = await api.ask(t, 'beginSignIn', 302, { as: 'browser', params, query: { returnTo: '/' } });
  const back = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' });
  const { searchParams } = new URL(back.headers.get('location') ?? '');
  const query = Object.fromEntries(searchParams);
  const { headers } = await api.ask(t, 'finishSignIn', 302, { as: 'browser', params, query });
  t.match(headers.getSetCookie().at(-1), /^tollgate_session=[^;]/);
}

async function askAboutOneself(t: Test, api: ApiClient): Promise<void> {
  const as = 'session';
  const { body } = await api.ask(t, 'getSession', 200, { as });
  t.match(body, { user: { name: 'ann' } });
  const made = await api.ask(t, 'createKey', 201, { as });
  const limited = await api.ask(t, 'createKey', 201, { as, body: { name: 'ci', limit: 70, expires: '90d' } });
  const params = { keyId: String(made.body['id']) };
  const { key } = (await api.ask(t, 'rotateKey', 200, { as, params })).body;
  await api.ask(t, 'rotateKey', 200, { as, params: { keyId: String(limited.body['id']) }, body: { overlap: '24h' } });
  t.equal((await api.gate.call(noteCredential(String(key)))).status, 200);
  await api.ask(t, 'listKeys', 200, { as });
  await api.ask(t, 'revokeKey', 204, { as, params });
  await api.ask(t, 'revokeKey', 'TG_KEY_NOT_FOUND', { as, params: { keyId: 'none' } });
  await api.ask(t, 'rotateKey', 'TG_KEY_NOT_FOUND', { as, params });
  const booked = () => api.ask(t, 'listLedger', 200, { as, query: { kind: 'charge', limit: 1, from: '2026-01-01' } });
  const charges = await until(
    async () => entriesOf(await booked()),
    (entries) => entries.length > 0,
  );
  await api.ask(t, 'getLedgerEntry', 200, { as, params: { entryId: charges[0]?.id ?? '' } });
  await api.ask(t, 'getLedgerEntry', 'TG_ENTRY_NOT_FOUND', { as, params: { entryId: 'none' } });
  await api.ask(t, 'listLedger', 200, { as });
  const usage = await api.ask(t, 'getUsage', 200, { as, query: { bucket: 'hour', by: 'route' } });
  t.ok((usage.body['rows'] as unknown[]).length > 0, 'there is a row to look at');
  for (const each of ['apiKey', 'apiKeyField', 'accessToken', 'session']) {
    await api.ask(t, 'getCredits', 200, { as: each, query: { cost: 7 } });
  }
}

function entriesOf({ body }: Told): readonly { readonly id: string }[] {
  return body['entries'] as { id: string }[];
}

async function administer(t: Test, api: ApiClient): Promise<void> {
  const as = 'adminToken';
  const { body: user } = await api.ask(t, 'createUser', 201, { as, body: { email: 'bob@b.example', name: 'Bob' } });
  await api.ask(t, 'createUser', 201, { as });
  await api.ask(t, 'createUser', 'TG_EMAIL_TAKEN', { as, body: { email: 'bob@b.example' } });
  const params = { id: String(user['id']) };
  const nobody = { id: 'nobody' };
  await api.ask(t, 'listUsers', 200, { as, query: { search: 'bob', sort: 'email', order: 'asc', limit: 1 } });
  await api.ask(t, 'listUsers', 200, { as: 'session', query: { limit: 1 } });
  await api.ask(t, 'getUser', 200, { as, params });
  await api.ask(t, 'getUser', 'TG_USER_NOT_FOUND', { as, params: nobody });
  await api.ask(t, 'changeUser', 200, { as, params, body: { blocked: true } });
  await api.ask(t, 'changeUser', 200, { as, params, body: { blocked: false, plan: 'Basic' } });
  await api.ask(t, 'changeUser', 'TG_INPUT_INVALID', { as, params, body: { plan: 'Gold' } });
  await moveCredits(t, api, params);

  const made = await api.ask(t, 'createUserKey', 201, { as, params, body: { limit: null } });
  const key = { ...params, keyId: String(made.body['id']) };
  await api.ask(t, 'rotateUserKey', 200, { as, params: key });
  await api.ask(t, 'listUserKeys', 200, { as, params });
  await api.ask(t, 'revokeUserKey', 204, { as, params: key });
  await api.ask(t, 'rotateUserKey', 'TG_KEY_NOT_FOUND', { as, params: key });

  const [first] = entriesOf(await api.ask(t, 'listUserLedger', 200, { as, params, query: { limit: 1 } }));
  await api.ask(t, 'getUserLedgerEntry', 200, { as, params: { ...params, entryId: first?.id ?? '' } });
  await api.ask(t, 'getUserUsage', 200, { as, params });
  for (const by of ['route', 'user', 'day', 'hour']) await api.ask(t, 'getTotals', 200, { as, query: { by } });
  await api.ask(t, 'getStatus', 200, { as });
}

async function moveCredits(t: Test, api: ApiClient, params: { readonly id: string }): Promise<void> {
  const note = 'because';
  const move = (expected: number | string, change: object, key?: string) => {
    const headers = { ...(key !== undefined && { 'idempotency-key': key }) };
    return api.ask(t, 'moveCredits', expected, { as: 'adminToken', params, headers, body: { note, ...change } });
  };
  for (const kind of ['grant', 'topup', 'refund']) await move(200, { kind, amount: 5 });
  await move(200, { kind: 'grant', amount: 5 }, 'k1');
  await move('TG_IDEMPOTENCY_KEY_USED', { kind: 'grant', amount: 6 }, 'k1');
  await move('TG_BALANCE_TOO_LOW', { kind: 'deduct', amount: 9_999 });
  await move(200, { kind: 'deduct', amount: 9_999, force: true });
  await move('TG_BALANCE_CHANGED', { kind: 'set', credits: 9, ifCredits: 0 });
  await move(200, { kind: 'set', credits: 9, ifCredits: 5_000 + 4 * 5 - 9_999 });
  const { body } = await move(200, { kind: 'set', credits: 9, ifCredits: 9 });
  t.equal(body['entryId'], null, 'nothing was to be changed');
  await move('TG_BALANCE_OUT_OF_RANGE', { kind: 'grant', amount: Number.MAX_SAFE_INTEGER });
}
