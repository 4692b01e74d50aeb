import { hash } from 'node:crypto';
import t from 'tap';
import type { CookieJar } from '../helpers/cookie-jar.ts';
import { dialects } from '../helpers/databases.ts';
import { addUser } from '../helpers/meters.ts';
import { providerYaml, sessionOf, startSignInGateway } from '../helpers/sign-in-gateways.ts';
import { until } from '../helpers/until.ts';
import { askAs, sessionIdIn, startVisitedGateway, tellingOf } from '../helpers/visitors.ts';

/** What is asked again and again costs nothing. */
const free = '/status/404';

type Instance = Parameters<typeof askAs>[1];

for (const dialect of dialects) {
  t.test(`${dialect}: a session ends at its age, however much it is used`, async (t) => {
    const gate = await startVisitedGateway(t, dialect, { session: 'maxAge: 1s, idleTimeout: 1s' });
    const before = Date.now();
    const jar = await gate.enter('ann');
    const { expiresAt } = (await sessionOf(jar, gate.url)) as { expiresAt: string };
    const endsAt = Date.parse(expiresAt);
    t.ok(endsAt >= before + 1000 && endsAt <= Date.now() + 1000);
    const id = sessionIdIn(jar, gate.url);
    await untilRefused(id, gate);
    t.ok(Date.now() >= endsAt, 'and not before');
  });

  t.test(`${dialect}: a session that is used every so often lasts, at whichever gateway`, async (t) => {
    const gate = await startVisitedGateway(t, dialect, { session: 'idleTimeout: 1s' });
    const another = await gate.startAnother(t);
    const id = sessionIdIn(await gate.enter('ann'), gate.url);
    for (const at of [gate, another]) t.strictSame(await statusesFor(1300, id, at), new Set([404]));
    t.equal((await askAs(id, gate, free)).status, 404);
  });

  t.test(`${dialect}: a session that is not used ends`, async (t) => {
    const gate = await startVisitedGateway(t, dialect, { session: 'idleTimeout: 10s' });
    const id = sessionIdIn(await gate.enter('ann'), gate.url);
    const { db } = gate.test.database;
    const lastUsed = async (msAgo: number) => {
      const used_at = new Date(Date.now() - msAgo).toISOString();
      await db.updateTable('sessions').set({ used_at }).execute();
      return used_at;
    };
    const long = await lastUsed(8_000);
    t.equal((await askAs(id, gate, free)).status, 404, 'not yet');
    const { used_at: now } = await db.selectFrom('sessions').select('used_at').executeTakeFirstOrThrow();
    t.ok(now > long, 'and its use is noted');
    await lastUsed(11_500);
    await untilRefused(id, gate);
    t.same(await tellingOf(askAs(id, gate)), [401, 'TG_AUTH_INVALID']);
  });

  t.test(`${dialect}: signing in again in the same browser ends the session before`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const another = await gate.startAnother(t);
    const jar = await gate.enter('ann');
    const old = sessionIdIn(jar, gate.url);
    for (const at of [gate, another]) t.equal((await askAs(old, at)).status, 200, 'warm');
    await gate.enter('bob', jar);
    const id = sessionIdIn(jar, gate.url);
    t.not(id, old);
    t.equal((await askAs(old, gate)).status, 401, 'here at once');
    await untilRefused(old, another);
    t.match(await sessionOf(jar, gate.url), { user: { name: 'bob' } });
  });

  t.test(`${dialect}: signing out ends the session on every gateway within a second, and no other`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const another = await gate.startAnother(t);
    const [laptop, phone] = [await gate.enter('ann'), await gate.enter('ann')];
    const [id, other] = [sessionIdIn(laptop, gate.url), sessionIdIn(phone, gate.url)];
    for (const at of [gate, another]) {
      for (const each of [id, other]) t.equal((await askAs(each, at)).status, 200, 'warm');
    }
    const before = performance.now();
    t.equal((await signOut(laptop, gate.url)).status, 204);
    t.same(laptop.cookiesFor(gate.url), {}, 'the browser forgets the cookie');
    t.equal((await askAs(id, gate)).status, 401, 'here at once');
    await untilRefused(id, another);
    t.ok(performance.now() - before < 1500, 'and no later, on a busy machine');
    for (const at of [gate, another]) t.equal((await askAs(other, at)).status, 200);
  });

  t.test(`${dialect}: signing out everywhere ends all sessions of the user, and nobody else's`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const another = await gate.startAnother(t);
    const [laptop, phone, bobs] = [await gate.enter('ann'), await gate.enter('ann'), await gate.enter('bob')];
    const [id, other, bob] = [laptop, phone, bobs].map((jar) => sessionIdIn(jar, gate.url));
    for (const at of [gate, another]) {
      for (const each of [id, other, bob]) t.equal((await askAs(each ?? '', at)).status, 200, 'warm');
    }
    t.equal((await signOut(laptop, gate.url, { everywhere: true })).status, 204);
    for (const each of [id, other]) {
      t.equal((await askAs(each ?? '', gate)).status, 401, 'here at once');
      await untilRefused(each ?? '', another);
    }
    for (const at of [gate, another]) t.equal((await askAs(bob ?? '', at)).status, 200);
  });

  t.test(`${dialect}: a session that has ended ends no other`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const [laptop, phone] = [await gate.enter('ann'), await gate.enter('ann')];
    const { db } = gate.test.database;
    const ended = hashOf(sessionIdIn(laptop, gate.url));
    await db
      .updateTable('sessions')
      .set({ expires_at: new Date(0).toISOString() })
      .where('hash', '=', ended)
      .execute();
    await untilRefused(sessionIdIn(laptop, gate.url), gate);
    t.equal((await signOut(laptop, gate.url, { everywhere: true })).status, 204);
    t.equal((await askAs(sessionIdIn(phone, gate.url), gate)).status, 200);
  });

  t.test(`${dialect}: who may not sign in any more, or whose provider is gone, has no session`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const id = sessionIdIn(await gate.enter('ann'), gate.url);
    t.equal((await askAs(id, gate)).status, 200);
    const { issuer, clientId, clientSecret: secret } = gate.provider;
    const changed = { publicUrl: gate.url, database: gate.test };
    for (const [name, allow, status] of [
      ['idp', '{ emails: [ann@b.example] }', 200],
      ['idp', '{ emails: [bob@b.example] }', 401],
      ['other', '{ emailDomains: ["*"] }', 401],
    ] as const) {
      const providers = providerYaml(name, { issuer, clientId, secret });
      const at = await startSignInGateway(t, dialect, { ...changed, providers, allow });
      t.equal((await askAs(id, at)).status, status, `${name}, ${allow}`);
    }
  });

  t.test(`${dialect}: a blocked user's session is refused by every gateway within a second`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const another = await gate.startAnother(t);
    const jar = await gate.enter('ann');
    const id = sessionIdIn(jar, gate.url);
    for (const at of [gate, another]) t.equal((await askAs(id, at)).status, 200, 'warm');
    await gate.test.database.db.updateTable('users').set({ blocked_at: new Date().toISOString() }).execute();
    const before = performance.now();
    for (const at of [gate, another]) {
      const answers = () => tellingOf(askAs(id, at, free));
      t.same(await until(answers, ([status]) => status === 403), [403, 'TG_USER_BLOCKED']);
    }
    t.ok(performance.now() - before < 1500, 'and no later, on a busy machine');
    t.equal(await sessionOf(jar, gate.url), 403);
  });

  t.test(`${dialect}: the session of a user who is deleted is gone`, async (t) => {
    const gate = await startVisitedGateway(t, dialect);
    const { db } = gate.test.database;
    await addUser(gate.test.database, 'u', 0);
    await db.insertInto('identities').values({ issuer: gate.provider.issuer, subject: 'ann', user_id: 'u' }).execute();
    const id = sessionIdIn(await gate.enter('ann'), gate.url);
    t.equal((await askAs(id, gate, free)).status, 402, 'warm');
    await db.deleteFrom('identities').execute();
    await db.deleteFrom('users').where('id', '=', 'u').execute();
    t.same(await db.selectFrom('sessions').selectAll().execute(), []);
    await untilRefused(id, gate);
  });
}

t.test(
  'a stranger who signs out sessions that are none makes nobody be looked up again, and is told to stop',
  async (t) => {
    const gate = await startVisitedGateway(t, 'sqlite');
    const id = sessionIdIn(await gate.enter('ann'), gate.url);
    t.equal((await askAs(id, gate)).status, 200);
    const { db } = gate.test.database;
    const long = new Date(Date.now() - 3_000).toISOString();
    await db.updateTable('sessions').set({ used_at: long }).execute();
    const strange = { cookie: `tollgate_session=${'x'.repeat(43)}`, 'content-type': 'application/json' };
    const init = { method: 'POST', headers: strange, body: '{"everywhere":true}' };
    const statuses: number[] = [];
    for (let i = 0; i < 101; i++) statuses.push((await fetch(`${gate.url}/_tollgate/auth/logout`, init)).status);
    t.same(statuses, [...Array<number>(100).fill(204), 429]);
    t.equal((await askAs(id, gate)).status, 200);
    t.match(await db.selectFrom('sessions').select('used_at').execute(), [{ used_at: long }]);
  },
);

function hashOf(id: string): string {
  return hash('sha256', id, 'hex');
}

async function untilRefused(id: string, at: Instance): Promise<void> {
  await until(
    async () => (await askAs(id, at, free)).status,
    (status) => status === 401,
  );
}

/** What a session is answered with that is used all the time. */
async function statusesFor(durationMs: number, id: string, at: Instance): Promise<Set<number>> {
  const statuses = new Set<number>();
  const endMs = performance.now() + durationMs;
  await until(
    async () => statuses.add((await askAs(id, at, free)).status),
    () => performance.now() >= endMs,
  );
  return statuses;
}

function signOut(jar: CookieJar, url: string, body: Record<string, unknown> = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return jar.fetch(`${url}/_tollgate/auth/logout`, { method: 'POST', headers, body: JSON.stringify(body) });
}
