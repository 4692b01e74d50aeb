// What a PostgreSQL that does not answer may cost: a limit's time for who asks, the connection, and nothing after.

import { sql } from 'kysely';
import t from 'tap';
import { type Database, transact } from '../../src/store/database.ts';
import { isOutage } from '../../src/store/outage.ts';
import { exchange } from '../../src/store/sync/exchange.ts';
import { emptyDatabase, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { openLine } from '../helpers/lines.ts';
import { addInstance } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

const statementTimeoutMs = 300;

t.test('a statement that nobody answers is an outage, and its connection does not come back', async (t) => {
  const test = await emptyDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  const database = openAgain(t, { ...test, url: line.url }, { statementTimeoutMs });
  const before = await backendOf(database);
  line.silence();
  t.ok(isOutage(await errorOf(backendOf(database))), 'on a connection that was open');
  t.ok(isOutage(await errorOf(backendOf(database))), 'on one that had to be opened');
  await line.heal();
  t.not(await backendOf(database), before);
});

t.test('a transaction on a silent line ends with what its statement met, and asks nothing more', async (t) => {
  const test = await emptyDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  const database = openAgain(t, { ...test, url: line.url }, { statementTimeoutMs });
  let met: unknown = null;
  const error = await errorOf(
    transact(database.db, async (trx) => {
      line.silence();
      met = await errorOf(sql`SELECT 1`.execute(trx));
      throw met;
    }),
  );
  t.equal(error, met);
  t.ok(isOutage(error));
});

t.test('an exchange finds its rows by their indexes, whatever the planner thinks of the tables', async (t) => {
  const { database } = await migratedDatabase(t, 'postgres');
  await sql`INSERT INTO users (id, name, posted) SELECT 'u' || i, 'u', 1 FROM generate_series(1, 5000) AS i`.execute(
    database.db,
  );
  await sql`INSERT INTO api_keys (id, user_id, name, hash, hint)
    SELECT 'k' || i, 'u' || i, 'k', i, 'k' FROM generate_series(1, 5000) AS i`.execute(database.db);
  const users = Array.from({ length: 50 }, (_, i) => `u${i + 1}`);
  const charges = users.map((user, i) => ({
    ...{ id: `c${i}`, user, key: `k${i + 1}`, cost: 1, route: 'r', status: 200, requestId: 'q' },
    at: '2026-01-02T03:04:05.678Z',
  }));
  const leases = users.map((user) => ({ user, key: '', keep: 0, need: 1, want: 16, emptied: true }));
  const message = { instance: await addInstance(database), seq: 1, charges, leases, tallies: [] };
  const client = await database.exchangePool?.connect();
  t.teardown(() => client?.release());
  const plans: string[] = [];
  const ask = async (text: string, values: readonly unknown[] = []) =>
    (await client?.query(text, [...values]))?.rows ?? [];
  const explained = async (queries: readonly { sql: string; parameters: readonly unknown[] }[]) => {
    const answers = [];
    for (const { sql, parameters } of queries) {
      plans.push(...(await ask(`EXPLAIN ${sql}`, parameters)).map((row) => row['QUERY PLAN']));
      answers.push(await ask(sql, parameters));
    }
    return answers;
  };
  await exchange(database, message, 'wait', async (work) => {
    await ask('BEGIN');
    const { result, last } = await work(explained as Parameters<typeof work>[0]);
    await explained(last);
    await ask('COMMIT');
    return result;
  });
  t.match(plans.join('\n'), /Update on users/);
  t.same(
    plans.filter((line) =>
      /Hash Join|Merge Join|Seq Scan on (?:users|api_keys|leases|ledger|usage_\w+|changes)/.test(line),
    ),
    [],
  );
});

t.test('a statement that takes too long is an outage, and ends in the database too', async (t) => {
  const test = await emptyDatabase(t, 'postgres');
  const database = openAgain(t, test, { statementTimeoutMs });
  const before = await backendOf(database);
  const error = await errorOf(sql`SELECT pg_sleep(60)`.execute(database.db));
  t.match(error, { code: '57014' });
  t.ok(isOutage(error));
  t.equal(await backendOf(database), before, 'whoever answers is kept');
  await sql`SELECT pg_sleep(0.5)`.execute(openAgain(t, test).db);
});

t.test('an exchange on a silent line is an outage, be the connection old or new, and all is well after', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  const database = openAgain(t, { ...test, url: line.url });
  const instance = await addInstance(database);
  const beat = (seq: number) => exchange(database, { instance, seq, charges: [], leases: [], tallies: [] }, 'wait');
  t.match(await beat(1), { stale: false });
  line.silence();
  t.ok(isOutage(await errorOf(beat(2))), 'on the connection that was open');
  t.ok(isOutage(await errorOf(beat(3))), 'on one that had to be opened');
  await line.heal();
  t.match(await beat(4), { stale: false });
});

t.test('a database on a silent line closes, whatever is under way', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  const [idle, busy, fresh] = [1, 2, 3].map(() => openAgain(t, { ...test, url: line.url }));
  for (const database of [idle, busy]) {
    await backendOf(database as Database);
    await addInstance(database as Database);
  }
  line.silence();
  const answers = [busy, fresh].map((database) => errorOf(backendOf(database as Database)));
  await until(
    () => line.connections(),
    (connections) => connections === 3,
  );
  for (const database of [idle, busy, fresh]) await database?.close();
  for (const error of await Promise.all(answers)) t.ok(isOutage(error));
});

async function backendOf({ db }: Database): Promise<number | undefined> {
  return (await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(db)).rows[0]?.pid;
}

function errorOf(answer: Promise<unknown>): Promise<unknown> {
  return answer.then(
    () => null,
    (error) => error,
  );
}
