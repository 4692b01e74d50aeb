// A store in trouble is a delay for the meter: connections that break, locks that nobody lets go, a database that is
// gone at the end. And what an instance may not do after it was taken for dead.

import { sql } from 'kysely';
import t, { type Test } from 'tap';
import type { Hold } from '../../src/meter/meter.ts';
import { deductUserCredits } from '../../src/store/credits.ts';
import type { Database } from '../../src/store/database.ts';
import { fenceInstance } from '../../src/store/instances.ts';
import { dialects, migratedDatabase, openAgain, type TestDatabase } from '../helpers/databases.ts';
import { openLine } from '../helpers/lines.ts';
import { addInstance, addUser, callerOf, callOnce, openTestMeter, tryHold } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: an instance that was taken for dead sells nothing of what it had idle`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    await addUser(test.database, 'u', 100);
    const { meter: first } = await openTestMeter(t, test.database);
    const { meter: second } = await openTestMeter(t, openAgain(t, test));
    t.equal(await callOnce(first, callerOf('u'), 3), null);
    await until(
      () => first.state(),
      ({ unsentCharges, leasedCredits }) => unsentCharges === 0 && leasedCredits >= 10,
    );
    const { instance } = first.state();
    t.equal(await fenceInstance(test.database.db, instance, null), true);
    const held = await tryHold(second, callerOf('u'), 97);
    t.type(held, 'object', 'all that was leased is for sale');
    await until(
      () => first.state().instance,
      (now) => now !== instance,
    );
    t.equal(await callOnce(first, callerOf('u'), 3), 'TG_CREDITS_INSUFFICIENT');
    second.settle(held as Hold, 200, 'delivered');
  });

  t.test(`${dialect}: whoever closes a meter a second time waits for the first`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 10);
    const { meter } = await openTestMeter(t, database);
    t.equal(await callOnce(meter, callerOf('u'), 1), null);
    void meter.close();
    await meter.close();
    t.equal(meter.state().unsentCharges, 0);
    t.same(await database.db.selectFrom('leases').selectAll().execute(), []);
  });
}

t.test('postgres: a connection that breaks in the middle of an exchange is a delay', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'u', 100);
  const line = await openLine(t, new URL(test.url));
  const { meter } = await openTestMeter(t, openAgain(t, { ...test, url: line.url }));
  const answer = await whileLocked(t, test, 'SELECT 1 FROM users FOR UPDATE', async (waiting) => {
    const answer = callOnce(meter, callerOf('u'), 1);
    await waiting();
    line.reset();
    return { answer };
  });
  t.equal(await answer.answer, null);
});

t.test('postgres: a database that ends the connection in the middle of an exchange is a delay', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'u', 100);
  const { meter } = await openTestMeter(t, openAgain(t, test));
  const answer = await whileLocked(t, test, 'SELECT 1 FROM users FOR UPDATE', async (waiting) => {
    const answer = callOnce(meter, callerOf('u'), 1);
    const pid = await waiting();
    await sql`SELECT pg_terminate_backend(${pid})`.execute(test.database.db);
    return { answer };
  });
  t.equal(await answer.answer, null);
});

t.test('postgres: nobody waits for a table that somebody keeps locked', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'u', 100);
  const { meter } = await openTestMeter(t, test.database);
  await whileLocked(t, test, 'LOCK TABLE leases', async () => {
    t.equal(await callOnce(meter, callerOf('u'), 1), 'TG_STORE_UNAVAILABLE');
    t.equal(meter.state().isStoreUp, false);
  });
  await until(
    () => callOnce(meter, callerOf('u'), 1),
    (code) => code === null,
  );
});

t.test('postgres: a gateway that vanishes in the middle of an exchange does not keep its locks', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'u', 100);
  const { meter } = await openTestMeter(t, test.database);
  const instance = await addInstance(test.database);
  const vanished = await openAgain(t, test).exchangePool?.connect();
  await vanished?.query('BEGIN');
  await vanished?.query('UPDATE instances SET seq = 1 WHERE id = $1', [instance]);
  await vanished?.query('SELECT 1 FROM users FOR UPDATE');
  t.equal(await fenceInstance(test.database.db, instance, 0), false, 'whoever wants to fence it does not wait either');
  t.equal(await callOnce(meter, callerOf('u'), 1), null);
  t.equal(await fenceInstance(test.database.db, instance, 0), true);
  vanished?.release(true);
});

t.test('postgres: credits are sold once whatever the isolation level of the database', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'u', 100);
  const strict = new URL(test.url);
  strict.searchParams.set('options', repeatableRead(test.schema));
  const database = openAgain(t, { ...test, url: strict.href });
  const { rows } = await sql`SHOW default_transaction_isolation`.execute(database.db);
  t.match(rows, [{ default_transaction_isolation: 'repeatable read' }]);
  const { meter } = await openTestMeter(t, database);
  const lease = { user_id: 'u', key_id: '', instance: await addInstance(database), amount: 60 };
  const outcome = await whileLocked(t, test, 'SELECT 1 FROM users FOR UPDATE', async (waiting, trx) => {
    const sold = tryHold(meter, callerOf('u'), 60);
    await waiting();
    await trx
      .insertInto('leases')
      .values({ ...lease, recall: 'answered' })
      .execute();
    return { sold };
  });
  t.equal(await outcome.sold, 'TG_CREDITS_INSUFFICIENT');
  await sql`DELETE FROM leases`.execute(database.db);
  const taking = await whileLocked(t, test, 'SELECT 1 FROM users FOR UPDATE', async (waiting, trx) => {
    const taken = deductUserCredits(database.db, 'u', 60, { actor: 'cli:test' }).catch((error) => error.code);
    await waiting();
    await trx
      .insertInto('leases')
      .values({ ...lease, recall: 'answered' })
      .execute();
    return { taken };
  });
  t.equal(await taking.taken, 'CREDITS_RESERVED');
});

t.test('postgres: a meter closes in peace when the database has gone before', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  const { meter } = await openTestMeter(t, openAgain(t, { ...test, url: line.url }));
  await line.cut();
  await meter.close();
});

t.test('postgres: a line that falls silent is a delay, and every charge is booked once', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'u', 100);
  const line = await openLine(t, new URL(test.url));
  const { meter } = await openTestMeter(t, openAgain(t, { ...test, url: line.url }, { statementTimeoutMs: 500 }));
  t.equal(await callOnce(meter, callerOf('u'), 1), null);
  line.silence();
  t.equal(await callOnce(meter, callerOf('u'), 1), null);
  await until(
    () => meter.state().isStoreUp,
    (isUp) => !isUp,
  );
  t.equal(await callOnce(meter, callerOf('u'), 1), null, 'who has credits leased goes on');
  t.equal(await callOnce(meter, callerOf('stranger'), 1), 'TG_STORE_UNAVAILABLE');
  await line.heal();
  await until(
    () => meter.state(),
    ({ unsentCharges, isStoreUp }) => unsentCharges === 0 && isStoreUp,
  );
  t.match(await test.database.db.selectFrom('users').select('credits').execute(), [{ credits: 97 }]);
  t.equal((await test.database.db.selectFrom('ledger').where('kind', '=', 'charge').selectAll().execute()).length, 3);
});

function repeatableRead(schema: string): string {
  return `-c search_path=${schema} -c TimeZone=UTC -c default_transaction_isolation=repeatable\\ read`;
}

type Waiting = () => Promise<number>;

/** Runs `work` while a transaction holds the lock that `statement` takes; `waiting` gives the pid of who waits for it. */
async function whileLocked<T>(
  t: Test,
  test: TestDatabase,
  statement: string,
  work: (waiting: Waiting, trx: Database['db']) => Promise<T>,
): Promise<T> {
  return openAgain(t, test)
    .db.transaction()
    .execute(async (trx) => {
      await sql.raw(statement).execute(trx);
      const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(trx);
      const pid = rows[0]?.pid;
      const waiting = async () => {
        const read = sql<{ pid: number }>`
          SELECT pid FROM pg_stat_activity WHERE ${pid} = ANY(pg_blocking_pids(pid)) AND query NOT LIKE '%pg_blocking%'`;
        const found = await until(
          async () => (await read.execute(test.database.db)).rows,
          (waiters) => waiters.length > 0,
        );
        return found[0]?.pid ?? 0;
      };
      return work(waiting, trx);
    });
}
