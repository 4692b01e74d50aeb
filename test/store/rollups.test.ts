import { sql } from 'kysely';
import t from 'tap';
import type { Database, Db } from '../../src/store/database.ts';
import { migrateDown, migrateUp } from '../../src/store/migrate.ts';
import { exchange, type SyncMessage, type Tally } from '../../src/store/sync/exchange.ts';
import { auditUsage, recountUsage } from '../../src/store/usage-audit.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { addInstance, addUser, chargeOf } from '../helpers/meters.ts';

const none = { calls: 0, charged: 0, failed: 0, refused: 0 };

for (const dialect of dialects) {
  t.test(`${dialect}: totals are what the hours come to, whoever wrote them and however late`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    for (const user of ['u', 'v']) await addUser(database, user, 1_000);
    const say = [await speaker(database), await speaker(database)] as const;
    await say[0]({ charges: [charge('1', 'u', 'chat', '2026-01-02T23:59:59.999Z', 5)] });
    await say[0]({
      charges: [
        charge('2', 'u', 'chat', '2026-01-03T00:00:00.000Z', 5),
        charge('3', 'v', 'find', '2026-01-03T00:10:00.000Z', 7),
        charge('4', 'u', 'find', '2026-01-03T05:00:00.000Z', 7),
      ],
      tallies: [tally('v', 'chat', '2026-01-03T00:00:00.000Z', { calls: 3, failed: 2, refused: 1 })],
    });
    await say[1]({
      charges: [charge('5', 'v', 'chat', '2026-01-03T00:20:00.000Z', 5)],
      tallies: [tally('u', 'chat', '2026-01-02T23:00:00.000Z', { refused: 4 })],
    });
    // What was booked already counts no more, and an hour that is long over still counts.
    await say[1]({
      charges: [
        charge('5', 'v', 'chat', '2026-01-03T00:20:00.000Z', 5),
        charge('6', 'v', 'chat', '2026-01-02T23:20:00.000Z', 5),
      ],
    });
    t.same(await days(database.db), [
      { day: '2026-01-02T00:00:00.000Z', user_id: 'u', ...none, calls: 1, charged: 5, refused: 4 },
      { day: '2026-01-02T00:00:00.000Z', user_id: 'v', ...none, calls: 1, charged: 5 },
      { day: '2026-01-03T00:00:00.000Z', user_id: 'u', ...none, calls: 2, charged: 12 },
      { day: '2026-01-03T00:00:00.000Z', user_id: 'v', calls: 5, charged: 12, failed: 2, refused: 1 },
    ]);
    t.same(await totals(database.db), [
      { hour: '2026-01-02T23:00:00.000Z', route: 'chat', ...none, calls: 2, charged: 10, refused: 4 },
      { hour: '2026-01-03T00:00:00.000Z', route: 'chat', calls: 5, charged: 10, failed: 2, refused: 1 },
      { hour: '2026-01-03T00:00:00.000Z', route: 'find', ...none, calls: 1, charged: 7 },
      { hour: '2026-01-03T05:00:00.000Z', route: 'find', ...none, calls: 1, charged: 7 },
    ]);
    t.same(await usageAuditOf(database.db), [null, null]);
  });

  t.test(`${dialect}: an instance adds to one row of an hour and route, and many instances to few`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 1_000);
    const at = '2026-01-02T23:00:00.000Z';
    for (let instance = 0; instance < 30; instance++) {
      const say = await speaker(database);
      for (const call of ['a', 'b']) await say({ charges: [charge(`${instance}${call}`, 'u', 'chat', at, 1)] });
      const rows = await database.db.selectFrom('usage_totals').selectAll().execute();
      t.ok(rows.length >= 1 && rows.length <= Math.min(instance + 1, 4), `${rows.length} after ${instance + 1}`);
    }
    t.match(await totals(database.db), [{ calls: 60 }]);
  });

  t.test(`${dialect}: the migration counts what was used before it`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await migrateDown(database);
    await migrateDown(database);
    await addHours(database.db);
    await migrateUp(database);
    t.same(await usageAuditOf(database.db), [null, null]);
    t.match(await days(database.db), [
      { day: '2026-01-02T00:00:00.000Z', user_id: 'u', calls: 2 },
      { day: '2026-01-03T00:00:00.000Z', user_id: 'u', calls: 1 },
      { day: '2026-01-03T00:00:00.000Z', user_id: 'v', calls: 1 },
    ]);
    t.match(await totals(database.db), [
      { hour: '2026-01-02T23:00:00.000Z', route: 'chat', calls: 1 },
      { hour: '2026-01-02T23:00:00.000Z', route: 'find', calls: 1 },
      { hour: '2026-01-03T00:00:00.000Z', route: 'chat', calls: 2, charged: 4 },
    ]);
  });

  t.test(`${dialect}: hours that came without their totals are found and counted, while others write`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { database } = test;
    await addUser(database, 'u', 1_000);
    await addHours(database.db);
    t.same(await usageAuditOf(database.db), [
      { day: '2026-01-02', users: 1, routes: 2 },
      { day: '2026-01-03', users: 2, routes: 1 },
    ]);
    const say = await speaker(openAgain(t, test));
    const writing = (async () => {
      for (let i = 0; i < 30; i++) {
        await say({ charges: [charge(String(i), 'u', 'chat', '2026-01-03T00:30:00.000Z', 1)] });
      }
    })();
    for (let i = 0; i < 10; i++) await recountUsage(database.db, '2026-01-03');
    await writing;
    t.same(
      await usageAuditOf(database.db),
      [{ day: '2026-01-02', users: 1, routes: 2 }, null],
      'the other day is left',
    );
    await recountUsage(database.db, '2026-01-02');
    t.same(await usageAuditOf(database.db), [null, null]);
    await database.db.deleteFrom('usage_hourly').execute();
    t.same(await usageAuditOf(database.db), [
      { day: '2026-01-02', users: 1, routes: 2 },
      { day: '2026-01-03', users: 2, routes: 1 },
    ]);
  });
}

t.test('postgres: nobody waits while totals are counted anew, and what is not committed is not counted', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  const { database } = test;
  const row = { user_id: 'u', ...none, calls: 1 };
  const elsewhere = openAgain(t, test).db;
  await elsewhere.transaction().execute(async (trx) => {
    await trx
      .insertInto('usage_hourly')
      .values({ ...row, route: 'chat', hour: '2026-01-02T05:00:00.000Z' })
      .execute();
    await trx
      .insertInto('usage_daily')
      .values({ ...row, day: '2026-01-02T00:00:00.000Z' })
      .execute();
    await recountUsage(database.db, '2026-01-02');
  });
  await recountUsage(database.db, '2026-01-02');
  t.same(await usageAuditOf(database.db), [null]);
});

t.test(
  'postgres: instances that count the same users, days and hours at once do not wait for each other',
  async (t) => {
    const test = await migratedDatabase(t, 'postgres');
    const users = Array.from({ length: 50 }, (_, i) => `u${i}`);
    const hours = ['2026-01-02T23:00:00.000Z', '2026-01-03T00:00:00.000Z'];
    const tallies = users.flatMap((user) => hours.map((hour) => tally(user, 'chat', hour, { refused: 1 })));
    const speakers = [];
    for (let i = 0; i < 4; i++) speakers.push(await speaker(openAgain(t, test)));
    await Promise.all(
      speakers.map(async (say, i) => {
        const told = i % 2 === 0 ? tallies : tallies.toReversed();
        for (let round = 0; round < 20; round++) await say({ tallies: told });
      }),
    );
    t.same(await usageAuditOf(test.database.db), [null, null]);
    t.match(await totals(test.database.db), [{ refused: 4_000 }, { refused: 4_000 }]);
  },
);

/** What says one message after another in the name of an instance. */
async function speaker(database: Database): Promise<(over: Partial<SyncMessage>) => Promise<void>> {
  const instance = await addInstance(database);
  let seq = 0;
  return async (over) => {
    seq += 1;
    const answer = await exchange(database, { instance, seq, charges: [], leases: [], tallies: [], ...over }, 'wait');
    if (answer.stale) throw new Error('stale');
  };
}

function charge(id: string, user: string, route: string, at: string, cost: number) {
  return { ...chargeOf(id, user, cost), route, at };
}

function tally(user: string, route: string, hour: string, over: Partial<Tally>): Tally {
  return { user, route, hour, calls: 0, failed: 0, refused: 0, ...over };
}

/** As a gateway writes them that knows no totals. */
async function addHours(db: Db): Promise<void> {
  const rows = [
    ['u', '2026-01-02T23:00:00.000Z', 'chat'],
    ['u', '2026-01-02T23:00:00.000Z', 'find'],
    ['u', '2026-01-03T00:00:00.000Z', 'chat'],
    ['v', '2026-01-03T00:00:00.000Z', 'chat'],
  ].map(([user_id = '', hour = '', route = '']) => ({ user_id, hour, route, ...none, calls: 1, charged: 2 }));
  await db.insertInto('usage_hourly').values(rows).execute();
}

function days(db: Db) {
  return db.selectFrom('usage_daily').selectAll().orderBy('day').orderBy('user_id').execute();
}

async function totals(db: Db): Promise<unknown[]> {
  const { rows } = await sql`SELECT hour, route, sum(calls) AS calls, sum(charged) AS charged, sum(failed) AS failed,
    sum(refused) AS refused FROM usage_totals GROUP BY hour, route ORDER BY hour, route`.execute(db);
  return rows;
}

async function usageAuditOf(db: Db): Promise<unknown[]> {
  const found = [];
  for await (const difference of auditUsage(db)) found.push(difference);
  return found;
}
