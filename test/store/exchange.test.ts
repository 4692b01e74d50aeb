import { sql } from 'kysely';
import t from 'tap';
import type { Database } from '../../src/store/database.ts';
import { fenceInstance } from '../../src/store/instances.ts';
import { type Charge, exchange, type SyncMessage, type SyncReply } from '../../src/store/sync/exchange.ts';
import type { LeaseAsk } from '../../src/store/sync/grants.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { addInstance, addUser } from '../helpers/meters.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: a charge that arrives twice is booked once`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    const instance = await addInstance(database);
    const first = charge('c1', 5);
    await talk(database, { instance, seq: 1, charges: [first] });
    const reply = await talk(database, { instance, seq: 2, charges: [first, charge('c2', 7)], leases: [ask({})] });
    t.match(reply.leases, [{ balance: 88 }]);
    t.equal(await sumOf(database), 88);
    t.match(await database.db.selectFrom('usage_hourly').selectAll().execute(), [
      { user_id: 'u', hour: '2026-01-02T03:00:00.000Z', route: 'r', calls: 2, charged: 12 },
    ]);
  });

  t.test(`${dialect}: a message that comes after a later one is stale and changes nothing`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    const instance = await addInstance(database);
    await talk(database, { instance, seq: 2, leases: [ask({ keep: 3 })] });
    const late = await exchange(
      database,
      message({ instance, seq: 1, charges: [charge('c1', 5)], leases: [ask({ keep: 50 })] }),
      'wait',
    );
    t.same(late, { stale: true });
    t.equal(await sumOf(database), 100);
    t.match(await database.db.selectFrom('leases').selectAll().execute(), [{ amount: 3 }]);
  });

  t.test(`${dialect}: a fenced instance is told so, and its leases are free`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    const [one, other] = [await addInstance(database), await addInstance(database)];
    await talk(database, { instance: one, seq: 1, leases: [ask({ need: 100 })] });
    t.equal(await fenceInstance(database.db, one, 0), false, 'it has moved since');
    t.equal(await fenceInstance(database.db, one, 1), true);
    t.same(await exchange(database, message({ instance: one, seq: 2, charges: [charge('c1', 5)] }), 'wait'), {
      stale: true,
    });
    t.match((await talk(database, { instance: other, seq: 1, leases: [ask({ need: 100 })] })).leases, [
      { answer: 'ok' },
    ]);
  });

  t.test(`${dialect}: a charge whose user is gone goes to the ledger alone and is reported`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const instance = await addInstance(database);
    const reply = await talk(database, { instance, seq: 1, charges: [charge('c1', 5)], leases: [ask({ need: 5 })] });
    t.same(reply.gone, ['u']);
    t.ok(reply.done.has('u'));
    t.match(reply.leases, [{ answer: 'no', amount: 0 }]);
    t.match(await database.db.selectFrom('ledger').selectAll().execute(), [{ id: 'c1', user_id: 'u', amount: -5 }]);
  });

  t.test(`${dialect}: charges that take a balance below zero are told as overdraft`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 3);
    const instance = await addInstance(database);
    t.equal((await talk(database, { instance, seq: 1, charges: [charge('c1', 5)] })).overdraft, 2);
    t.equal((await talk(database, { instance, seq: 2, charges: [charge('c2', 5)] })).overdraft, 5);
  });

  t.test(`${dialect}: an instance hears which of its leases are asked for, until it has emptied them`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    const [one, other] = [await addInstance(database), await addInstance(database)];
    await talk(database, { instance: one, seq: 1, leases: [ask({ need: 80 })] });
    t.match((await talk(database, { instance: other, seq: 1, leases: [ask({ need: 50 })] })).leases, [
      { answer: 'again' },
    ]);
    t.same((await talk(database, { instance: one, seq: 2 })).recalls, [{ user: 'u', key: '' }]);
    const emptied = await talk(database, { instance: one, seq: 3, leases: [ask({ keep: 30, emptied: true })] });
    t.same(emptied.recalls, []);
    t.match((await talk(database, { instance: other, seq: 2, leases: [ask({ need: 50 })] })).leases, [
      { answer: 'ok' },
    ]);
    t.match((await talk(database, { instance: other, seq: 3, leases: [ask({ keep: 50, need: 30 })] })).leases, [
      { answer: 'no' },
    ]);
  });

  t.test(`${dialect}: a thousand charges of five hundred users are one exchange`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const users = Array.from({ length: 500 }, (_, index) => ({ id: `u${index}`, name: 'n', credits: 10 }));
    await database.db.insertInto('users').values(users).execute();
    const instance = await addInstance(database);
    const charges = Array.from({ length: 1000 }, (_, index) => ({
      ...charge(`c${index}`, 3),
      user: `u${index % 500}`,
    }));
    const leases = users.map(({ id }) => ask({ user: id, keep: 1, want: 2 }));
    const reply = await talk(database, { instance, seq: 1, charges, leases });
    t.equal(reply.done.size, 500);
    t.ok(reply.leases.every(({ balance, amount }) => balance === 4 && amount === 2));
    t.equal(await sumOf(database), 500 * 4);
  });
}

t.test(
  'postgres: a user locked elsewhere fails the waiting exchange and is passed over by the skipping one',
  async (t) => {
    const test = await migratedDatabase(t, 'postgres');
    const { database } = test;
    await addUser(database, 'u', 100);
    await addUser(database, 'v', 100);
    const instance = await addInstance(database);
    const leases = [ask({ need: 1 }), ask({ user: 'v', need: 1 })];
    await openAgain(t, test)
      .db.transaction()
      .execute(async (trx) => {
        await sql`SELECT 1 FROM users WHERE id = 'u' FOR UPDATE`.execute(trx);
        await t.rejects(exchange(database, message({ instance, seq: 1, leases }), 'wait'), {
          name: 'UsersLockedError',
        });
        const reply = await exchange(database, message({ instance, seq: 2, leases }), 'skip');
        t.match(reply, { stale: false, done: new Set(['v']), leases: [{ user: 'v', answer: 'ok' }], gone: [] });
      });
  },
);

function talk(database: Database, over: Partial<SyncMessage> & { instance: string; seq: number }): Promise<SyncReply> {
  return exchange(database, message(over), 'wait').then((answer) => {
    if (answer.stale) throw new Error('stale');
    return answer;
  });
}

function message(over: Partial<SyncMessage> & { instance: string; seq: number }): SyncMessage {
  return { charges: [], leases: [], tallies: [], ...over };
}

function charge(id: string, cost: number): Charge {
  const at = '2026-01-02T03:04:05.678Z';
  return { id, user: 'u', key: null, cost, route: 'r', status: 200, ended: 'delivered', requestId: 'q', at };
}

function ask(over: Partial<LeaseAsk>): LeaseAsk {
  return { user: 'u', key: '', keep: 0, need: 0, want: 0, emptied: false, ...over };
}

async function sumOf(database: Database): Promise<number> {
  const { rows } = await sql<{ credits: number; booked: number }>`SELECT
    (SELECT sum(credits) FROM users) AS credits, (SELECT sum(amount) FROM ledger) AS booked`.execute(database.db);
  const [row] = rows;
  if (row === undefined || row.credits !== row.booked) throw new Error(`the books differ: ${JSON.stringify(row)}`);
  return row.credits;
}
