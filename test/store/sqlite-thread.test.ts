// The thread behind the door to an SQLite file: it keeps nobody waiting who does not ask it, and its death is a delay.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { v7 as uuidv7 } from 'uuid';
import type { Database } from '../../src/store/database.ts';
import { isOutage } from '../../src/store/outage.ts';
import { asksOf, openStoreDoor } from '../../src/store/sync/door.ts';
import type { SyncMessage } from '../../src/store/sync/exchange.ts';
import { SqliteThread } from '../../src/store/sync/sqlite-thread.ts';
import { onThread } from '../../src/store/sync/transaction.ts';
import { migratedDatabase, openAgain, type TestDatabase, temporaryFolder } from '../helpers/databases.ts';
import { addInstance, addUser, callerOf, callOnce, openTestMeter } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

t.test('the event loop turns while an exchange is carried out', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  await addUser(database, 'u', 1000);
  const door = doorTo(t, database);
  const message = messageOf(await addInstance(database), 1, 1000);
  let turns = 0;
  const count = () => {
    turns += 1;
    turning = setImmediate(count);
  };
  let turning = setImmediate(count);
  t.match(await door.exchange(message, 'wait'), { stale: false });
  clearImmediate(turning);
  t.ok(turns > 1);
});

t.test('while another process holds the lock of the file, calls and look-ups go on and charges wait', async (t) => {
  const test = await migratedDatabase(t, 'sqlite');
  const { database } = test;
  await addUser(database, 'u', 100);
  const { meter } = await openTestMeter(t, database);
  t.equal(await callOnce(meter, callerOf('u'), 1), null);
  await until(
    () => meter.state(),
    ({ unsentCharges, leasedCredits }) => unsentCharges === 0 && leasedCredits > 10,
  );
  const door = doorTo(t, database);
  const message = messageOf(await addInstance(database), 1, 1);
  const asked = await whileLocked(t, test, async () => {
    const answer = door.exchange(message, 'wait');
    t.equal(await callOnce(meter, callerOf('u'), 1), null);
    t.equal(await creditsOf(database), 99, 'a look-up has its answer while the exchange has none');
    return { answer };
  });
  t.match(await asked.answer, { stale: false });
  await until(
    () => creditsOf(database),
    (credits) => credits === 97,
  );
});

t.test('a thread that dies in the middle of an exchange is a delay, and every charge is booked once', async (t) => {
  const test = await migratedDatabase(t, 'sqlite');
  await addUser(test.database, 'u', 100);
  const threads = threadsOf(t);
  const { meter } = await openTestMeter(t, test.database);
  t.equal(await callOnce(meter, callerOf('u'), 1), null);
  await whileLocked(t, test, async () => threads[0]?.terminate());
  t.equal(await callOnce(meter, callerOf('u'), 1), null);
  await until(
    () => creditsOf(test.database),
    (credits) => credits === 98,
  );
  t.equal(threads.length, 2);
  await meter.close();
  const charges = await test.database.db.selectFrom('ledger').where('kind', '=', 'charge').selectAll().execute();
  t.equal(charges.length, 2);
});

t.test('what is under way in a thread that dies is told so, and the next who asks gets another', async (t) => {
  const test = await migratedDatabase(t, 'sqlite');
  const threads = threadsOf(t);
  const door = doorTo(t, test.database);
  const instance = await addInstance(test.database);
  t.match(await door.exchange(messageOf(instance, 1, 0), 'wait'), { stale: false });
  const after = await whileLocked(t, test, async () => {
    const asked = door.exchange(messageOf(instance, 2, 0), 'wait');
    const next = door.exchange(messageOf(instance, 3, 0), 'wait');
    const told = asked.catch((error) => [error.code, isOutage(error)]);
    await threads[0]?.terminate();
    t.same(await told, ['STORE_THREAD_ENDED', true]);
    return { next };
  });
  t.match(await after.next, { stale: false });
  t.equal(threads.length, 2);
});

t.test('what was begun in a thread that has died is not ended in the next', async (t) => {
  const test = await migratedDatabase(t, 'sqlite');
  const threads = threadsOf(t);
  const thread = new SqliteThread(test.database.file ?? '');
  t.teardown(() => thread.close());
  const write = { sql: "INSERT INTO instances (id, seq) VALUES ('i', 0)", parameters: [] };
  const work = thread.transact(async (talk) => {
    await talk([{ sql: 'SELECT 1 AS one', parameters: [] }]);
    await threads[0]?.terminate();
    return { result: null, last: [write] };
  });
  await t.rejects(work, /no transaction/);
  t.same(await test.database.db.selectFrom('instances').selectAll().execute(), []);
});

t.test(
  'a disk that does not answer is an outage, nothing more is asked of it, and all is well when it does',
  async (t) => {
    const test = await migratedDatabase(t, 'sqlite');
    const thread = new SqliteThread(test.database.file ?? '', 200);
    t.teardown(() => thread.close());
    const door = asksOf(test.database, (work) => onThread(thread, work));
    const instance = await addInstance(test.database);
    await whileLocked(t, test, async () => {
      const told = await door.exchange(messageOf(instance, 1, 0), 'wait').catch((error) => error);
      t.ok(isOutage(told));
      await t.rejects(door.exchange(messageOf(instance, 2, 0), 'wait'), { message: told.message });
    });
    const answer = await until(
      () => door.exchange(messageOf(instance, 3, 0), 'wait').catch(() => null),
      (answer) => answer !== null,
    );
    t.match(answer, { stale: false });
    t.match(await test.database.db.selectFrom('instances').select('seq').execute(), [{ seq: 3 }]);
  },
);

t.test('errors keep their code, and a thread that cannot begin tells why', async (t) => {
  const folder = join(await temporaryFolder(t), 'later');
  const { database } = await migratedDatabase(t, 'sqlite');
  const door = doorTo(t, { ...database, file: join(folder, 'tollgate.db') });
  const message = messageOf('i', 1, 0);
  await t.rejects(door.exchange(message, 'wait'), { message: /directory does not exist/ });
  await mkdir(folder);
  const told = { code: 'SQLITE_ERROR', message: /no such table/, stack: /sqlite-worker\.ts/ };
  await t.rejects(door.exchange(message, 'wait'), told);
});

t.test('a door carries out what it was asked before it closes, and nothing after', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  const door = openStoreDoor(database);
  const instance = await addInstance(database);
  const asked = door.exchange(messageOf(instance, 1, 0), 'wait');
  await Promise.all([door.close(), door.close()]);
  t.match(await asked, { stale: false });
  t.match(await database.db.selectFrom('instances').select('seq').execute(), [{ seq: 1 }]);
  await t.rejects(door.exchange(messageOf(instance, 2, 0), 'wait'), /closed/);
});

t.test('the thread begins with the door, before anything is asked', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  const instance = await addInstance(database);
  const threads = threadsOf(t);
  const door = doorTo(t, database);
  await until(
    async () => threads.length,
    (count) => count > 0,
  );
  await door.exchange(messageOf(instance, 1, 0), 'wait');
  t.equal(threads.length, 1, 'and is the one that carries out what is asked');
});

t.test('a door that nobody closes does not keep the process from ending', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  // The proof is the end of this file.
  openStoreDoor(database);
  const message = messageOf(await addInstance(database), 1, 0);
  await openStoreDoor(database).exchange(message, 'wait');
});

function doorTo(t: Test, database: Database) {
  const door = openStoreDoor(database);
  t.teardown(() => door.close());
  return door;
}

/** The threads that are started from now on. */
function threadsOf(t: Test): Worker[] {
  const threads: Worker[] = [];
  const note = (worker: Worker) => threads.push(worker);
  process.on('worker', note);
  t.teardown(() => process.off('worker', note));
  return threads;
}

/** Runs `work` while another connection, as another process would have, holds the write lock. */
function whileLocked<T>(t: Test, test: TestDatabase, work: () => Promise<T>): Promise<T> {
  return openAgain(t, test)
    .db.transaction()
    .execute(async (trx) => {
      await sql`UPDATE instances SET seq = seq WHERE id = ''`.execute(trx);
      return work();
    });
}

async function creditsOf({ db }: Database): Promise<number> {
  return (await db.selectFrom('users').select('credits').where('id', '=', 'u').executeTakeFirstOrThrow()).credits;
}

function messageOf(instance: string, seq: number, charges: number): SyncMessage {
  const charge = { user: 'u', key: null, cost: 1, route: 'r', status: 200, requestId: 'q' };
  const at = '2026-01-02T03:04:05.678Z';
  const all = Array.from({ length: charges }, () => ({ ...charge, id: uuidv7(), at }));
  return { instance, seq, charges: all, leases: [], tallies: [] };
}
