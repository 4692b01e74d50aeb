// The thread behind the door to an SQLite file: it keeps nobody waiting who does not ask it, and its death is a delay.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { v7 as uuidv7 } from 'uuid';
import type { Database } from '../../src/store/database.ts';
import { isOutage } from '../../src/store/outage.ts';
import { openStoreDoor } from '../../src/store/sync/door.ts';
import type { SyncMessage } from '../../src/store/sync/exchange.ts';
import { ThreadDoor } from '../../src/store/sync/thread-door.ts';
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
  const instance = uuidv7();
  await door.register(instance);
  await whileLocked(t, test, async () => {
    const asked = [door.fence(instance, null), door.exchange(messageOf(instance, 1, 0), 'wait')];
    const told = Promise.all(asked.map((answer) => answer.catch((error) => [error.code, isOutage(error)])));
    await threads[0]?.terminate();
    t.same(await told, [
      ['STORE_THREAD_ENDED', true],
      ['STORE_THREAD_ENDED', true],
    ]);
  });
  t.match(await door.exchange(messageOf(instance, 1, 0), 'wait'), { stale: false });
});

t.test(
  'a disk that does not answer is an outage, nothing more is asked of it, and all is well when it does',
  async (t) => {
    const test = await migratedDatabase(t, 'sqlite');
    const { file, schema } = test.database;
    const door = new ThreadDoor({ file: file ?? '', schema }, 200);
    t.teardown(() => door.close());
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
  await t.rejects(door.register('i'), { message: /directory does not exist/ });
  await mkdir(folder);
  await t.rejects(door.register('i'), { code: 'SQLITE_ERROR', message: /no such table/, stack: /instances\.ts/ });
});

t.test('a door carries out what it was asked before it closes, and nothing after', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  const door = openStoreDoor(database);
  const instance = uuidv7();
  const asked = door.register(instance);
  await Promise.all([door.close(), door.close()]);
  await asked;
  t.match(await database.db.selectFrom('instances').select('id').execute(), [{ id: instance }]);
  await t.rejects(door.register(instance), /closed/);
});

t.test('a door that nobody closes does not keep the process from ending', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  // The proof is the end of this file.
  await openStoreDoor(database).register(uuidv7());
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
