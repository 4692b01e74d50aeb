// A whole gateway and its PostgreSQL behind a line that is cut: what callers, operators and the ledger see of an outage, and
// after it.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { emptyDatabase, type TestDatabase, temporaryFolder } from './helpers/databases.ts';
import { type Settings, startTestGateway, type TestGateway } from './helpers/gateways.ts';
import { type Line, openLine } from './helpers/lines.ts';
import { until } from './helpers/until.ts';

const routes = '  - { path: /, upstream: api }\n  - { path: /dear, upstream: api, cost: 100 }';

t.test('an outage under load refuses no caller who is known, and charges each call once afterwards', async (t) => {
  for (const trouble of ['cut', 'silence'] as const) {
    const { gate, line, test } = await openGate(t);
    const users = ['ann', 'bob', 'cy', 'dee'];
    const keys = await Promise.all(users.map((user) => gate.newKey(user, 5_000)));
    const load = startLoad(gate, keys);
    await until(
      () => load.statuses.length,
      (calls) => calls > 40,
    );
    await line[trouble]();
    await untilUp(gate, false);
    t.same(await (await ready(gate)).json(), { status: 'ready', warnings: ['the database does not answer'] });
    const before = load.statuses.length;
    await until(
      () => load.statuses.length,
      (calls) => calls > before + 200,
    );
    await line.heal();
    await untilUp(gate, true);
    const statuses = await load.stop();
    t.same([...new Set(statuses)], [200], `${statuses.length} calls through a ${trouble}`);
    t.ok((await metric(gate, 'tollgate_admitted_while_down_total')) > 40);
    t.equal(await metric(gate, 'tollgate_overdraft_credits_total'), 0);
    t.same(await gate.gateway.close(), { chargesLeft: 0 });
    t.equal(await chargesIn(test), statuses.length);
    t.equal(await creditsIn(test), users.length * 5_000 - statuses.length);
  }
});

t.test(
  'a start in an outage serves who was known before, refuses all others at once, and is whole when it is over',
  async (t) => {
    const dataDir = await temporaryFolder(t);
    const before = await openGate(t, { dataDir });
    const { line, test } = before;
    const key = await before.gate.newKey('ann', 5_000);
    const revoked = await before.gate.newKey('bob', 5_000);
    const blocked = await before.gate.newKey('cy', 5_000);
    const unknown = await before.gate.newKey('dee', 5_000);
    for (const good of [key, revoked]) t.equal((await before.gate.call(good)).status, 200);
    await test.database.db
      .updateTable('users')
      .set({ blocked_at: new Date().toISOString() })
      .where('id', '=', 'cy')
      .execute();
    t.equal((await before.gate.call(blocked)).status, 403);
    await before.gate.gateway.close();

    await line.cut();
    const { gate } = await openGate(t, { dataDir }, before);
    t.equal((await gate.call(key)).status, 200);
    t.equal((await gate.call(revoked)).status, 200);
    // Whoever changes is forgotten, and known again with the next look-up.
    t.ok([403, 503].includes((await gate.call(blocked)).status));
    for (const path of ['/', '/_tollgate/api/credits', '/_tollgate/api/keys']) {
      const answer = await gate.call(path === '/' ? unknown : key, path);
      t.equal(answer.status, 503);
      t.equal(answer.headers.get('x-tollgate-error'), 'TG_STORE_UNAVAILABLE');
      t.ok(Number(answer.headers.get('retry-after')) > 0);
    }
    t.equal((await ready(gate)).status, 200);
    await test.database.db
      .updateTable('api_keys')
      .set({ revoked_at: new Date().toISOString() })
      .where('user_id', '=', 'bob')
      .execute();

    await line.heal();
    await untilUp(gate, true);
    t.equal((await gate.call(revoked)).status, 401);
    t.equal((await gate.call(unknown)).status, 200);
    t.equal((await gate.call(key)).status, 200);
    await gate.gateway.close();
    t.equal(await chargesIn(test), 6);

    await line.cut();
    const again = await openGate(t, { dataDir }, before);
    t.equal((await again.gate.call(revoked)).status, 503, 'the next outage does not bring it back');
    await again.gate.gateway.close();
  },
);

t.test('a restart in an outage sells no credit anew, and what was sold before it is charged once', async (t) => {
  const dataDir = await temporaryFolder(t);
  const before = await openGate(t, { dataDir });
  const { line, test } = before;
  const key = await before.gate.newKey('ann', 5_000);
  t.equal((await before.gate.call(key, '/dear')).status, 200);
  await before.gate.gateway.close();
  await line.cut();
  const { credits, leased } = await knownStanding(dataDir, 'ann');
  let sold = 1;
  for (const calls of [20, 100]) {
    const { gate } = await openGate(t, { dataDir }, before);
    const statuses: number[] = [];
    for (let call = 0; call < calls && (statuses.at(-1) ?? 200) === 200; call++) {
      statuses.push((await gate.call(key, '/dear')).status);
    }
    sold += statuses.filter((status) => status === 200).length;
    t.equal(statuses.at(-1) === 200, calls === 20, 'the second has less to sell');
    t.same(await gate.gateway.close(), { chargesLeft: sold - 1 });
  }
  t.equal(sold, 1 + (credits - leased) / 100);
  await line.heal();
  const { gate } = await openGate(t, { dataDir }, before);
  await until(
    () => chargesIn(test),
    (charges) => charges === sold,
  );
  t.equal(await creditsIn(test), 5_000 - 100 * sold);
  t.equal(await metric(gate, 'tollgate_overdraft_credits_total'), 0);
});

t.test(
  'of several who start in an outage on one folder each knows the callers, and none sells what is owed',
  async (t) => {
    const dataDir = await temporaryFolder(t);
    const before = await openGate(t, { dataDir });
    const { line, test } = before;
    const key = await before.gate.newKey('ann', 5_000);
    t.equal((await before.gate.call(key)).status, 200);
    await line.cut();
    await untilUp(before.gate, false);
    let sold = 1;
    while ((await before.gate.call(key, '/dear')).status === 200) sold += 1;
    await before.gate.gateway.close();

    const gates = [await openGate(t, { dataDir }, before), await openGate(t, { dataDir }, before)];
    for (const { gate } of gates) {
      t.equal((await ready(gate)).status, 200);
      t.not((await gate.call(key, '/dear')).status, 200, 'all of it is spent');
    }
    await line.heal();
    await until(
      () => chargesIn(test),
      (charges) => charges === sold,
    );
    t.equal(await creditsIn(test), 5_000 - 1 - 100 * (sold - 1));
  },
);

t.test('workers who start in an outage share what is there, although one process left it behind', async (t) => {
  const dataDir = await temporaryFolder(t);
  const before = await openGate(t, { dataDir });
  const { line } = before;
  const key = await before.gate.newKey('ann', 5_000);
  t.equal((await before.gate.call(key)).status, 200);
  await before.gate.gateway.close();
  await line.cut();
  const { credits, leased } = await knownStanding(dataDir, 'ann');
  // This is one of the four as its parent starts it.
  const { gate } = await openGate(t, { dataDir, server: 'workers: 4' }, before);
  let sold = 0;
  while ((await gate.call(key, '/dear')).status === 200) sold += 1;
  t.equal(sold, Math.floor((credits - leased) / 4 / 100));
  t.ok(sold > 0);
});

t.test('a gateway that has known nobody is not ready in an outage', async (t) => {
  const { line, ...first } = await openGate(t);
  await first.gate.gateway.close();
  await line.cut();
  const { gate } = await openGate(t, {}, { line, ...first });
  const answer = await ready(gate);
  t.equal(answer.status, 503);
  t.same(await answer.json(), { status: 'not ready', reasons: ['the database does not answer'] });
});

t.test('with refuse, an outage answers 503 and a start in one fails', async (t) => {
  const databaseTerms = 'whenDown: refuse';
  const opened = await openGate(t, { databaseTerms });
  const { gate, line } = opened;
  const key = await gate.newKey('ann', 5_000);
  t.equal((await gate.call(key)).status, 200);
  await line.cut();
  await untilUp(gate, false);
  const answer = await gate.call(key);
  t.equal(answer.status, 503);
  t.equal(answer.headers.get('x-tollgate-error'), 'TG_STORE_UNAVAILABLE');
  t.equal((await ready(gate)).status, 503);
  await t.rejects(openGate(t, { databaseTerms }, opened), { code: 'ECONNREFUSED' });
  await line.heal();
  await untilUp(gate, true);
  t.equal((await gate.call(key)).status, 200);
});

interface Opened {
  readonly gate: TestGateway;
  readonly line: Line;
  readonly test: TestDatabase;
}

/** A gateway whose database is at the other end of a line; `newKey` goes another way. */
async function openGate(t: Test, settings: Settings = {}, before?: Omit<Opened, 'gate'>): Promise<Opened> {
  const test = before?.test ?? (await emptyDatabase(t, 'postgres'));
  const line = before?.line ?? (await openLine(t, new URL(test.url)));
  const database = { ...test, url: line.url };
  return { gate: await startTestGateway(t, 'postgres', routes, undefined, { ...settings, database }), line, test };
}

/** What a gateway that has ended knows of a user. */
async function knownStanding(dataDir: string, user: string): Promise<{ credits: number; leased: number }> {
  const [folder = ''] = (await readdir(dataDir)).filter((name) => name.startsWith('instance-'));
  const { standings } = JSON.parse(await readFile(join(dataDir, folder, 'callers.json'), 'utf8'));
  return new Map(standings).get(user) as { credits: number; leased: number };
}

/** Each caller calls as soon as it is answered, with a short rest. */
function startLoad(gate: TestGateway, keys: readonly string[]) {
  const statuses: number[] = [];
  let isOver = false;
  const callers = keys.map(async (key) => {
    while (!isOver) {
      const answer = await gate.call(key);
      await answer.arrayBuffer();
      statuses.push(answer.status);
      await setTimeout(10);
    }
  });
  const stop = async () => {
    isOver = true;
    await Promise.all(callers);
    return statuses;
  };
  return { statuses, stop };
}

function ready({ gateway }: TestGateway): Promise<Response> {
  return fetch(`${gateway.opsAddress}/readyz`);
}

async function metric({ gateway }: TestGateway, name: string): Promise<number> {
  const metrics = await (await fetch(`${gateway.opsAddress}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1]);
}

function untilUp(gate: TestGateway, isUp: boolean): Promise<number> {
  return until(
    () => metric(gate, 'tollgate_store_up'),
    (up) => up === Number(isUp),
  );
}

async function chargesIn({ database }: TestDatabase): Promise<number> {
  return (await database.db.selectFrom('ledger').select('id').where('kind', '=', 'charge').execute()).length;
}

async function creditsIn({ database }: TestDatabase): Promise<number> {
  const users = await database.db.selectFrom('users').select('credits').execute();
  return users.reduce((sum, { credits }) => sum + credits, 0);
}
