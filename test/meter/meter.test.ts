import { sql } from 'kysely';
import t from 'tap';
import type { Hold, Meter } from '../../src/meter/meter.ts';
import type { Database } from '../../src/store/database.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { addKey, addUser, callerOf, callOnce, openTestMeter, tryHold } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: 500 calls at once with 120 credits sell exactly 120 and refuse 380`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 120);
    const { meter } = await openTestMeter(t, database);
    const answers = await Promise.all(Array.from({ length: 500 }, () => callOnce(meter, callerOf('u'), 1)));
    t.equal(answers.filter((code) => code === null).length, 120);
    t.equal(answers.filter((code) => code === 'TG_CREDITS_INSUFFICIENT').length, 380);
    await meter.close();
    t.equal(await balanceOf(database, 'u'), 0);
    await booksAgree(t, database);
  });

  t.test(`${dialect}: 300 calls at once at cost 7 with 100 credits sell 14 and leave 2`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    const { meter } = await openTestMeter(t, database);
    const answers = await Promise.all(Array.from({ length: 300 }, () => callOnce(meter, callerOf('u'), 7)));
    t.equal(answers.filter((code) => code === null).length, 14);
    await meter.close();
    t.equal(await balanceOf(database, 'u'), 2);
    await booksAgree(t, database);
  });

  t.test(`${dialect}: two instances together sell what there is, once`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    await addUser(test.database, 'u', 200);
    const meters = await twoMeters(t, test);
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, call) => callOnce(meters[call % 2] as Meter, callerOf('u'), 3)),
    );
    for (const meter of meters) await meter.close();
    const sold = answers.filter((code) => code === null).length;
    t.equal(sold, 66);
    t.equal(await balanceOf(test.database, 'u'), 2);
    await booksAgree(t, test.database);
  });

  t.test(`${dialect}: credits that idle in another instance's lease are called back for who needs them`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    await addUser(test.database, 'u', 100);
    const [first, second] = await twoMeters(t, test);
    t.equal(await callOnce(first, callerOf('u'), 1), null);
    t.ok(first.state().leasedCredits > 10, 'the first instance keeps credits for the next seconds');
    t.equal(await callOnce(second, callerOf('u'), 99), null, 'all that is left is for sale to the second');
    t.equal(await callOnce(first, callerOf('u'), 1), 'TG_CREDITS_INSUFFICIENT');
  });

  t.test(`${dialect}: a released hold costs nothing and can be sold again`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 5);
    const { meter } = await openTestMeter(t, database);
    const hold = await tryHold(meter, callerOf('u'), 5);
    t.equal(await tryHold(meter, callerOf('u'), 5), 'TG_CREDITS_INSUFFICIENT');
    meter.release(hold as Hold);
    t.equal(await callOnce(meter, callerOf('u'), 5), null);
    await meter.close();
    t.equal(await balanceOf(database, 'u'), 0);
    t.match(await usageOf(database), [{ calls: 1, charged: 5, failed: 1, refused: 1 }]);
  });

  t.test(`${dialect}: a hold released on one instance is for sale on the other`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    await addUser(test.database, 'u', 5);
    const [first, second] = await twoMeters(t, test);
    const hold = await tryHold(first, callerOf('u'), 5);
    t.equal(await tryHold(second, callerOf('u'), 5), 'TG_CREDITS_INSUFFICIENT');
    first.release(hold as Hold);
    await until(
      () => callOnce(second, callerOf('u'), 5),
      (code) => code === null,
    );
  });

  t.test(`${dialect}: a refusal says what was required and what remains`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 10);
    const { meter } = await openTestMeter(t, database);
    t.equal(await callOnce(meter, callerOf('u'), 7), null);
    await t.rejects(async () => meter.hold(callerOf('u'), { cost: 7, route: 'r', requestId: 'q' }), {
      code: 'TG_CREDITS_INSUFFICIENT',
      status: 402,
      facts: { required: 7, remaining: 3 },
    });
  });

  t.test(`${dialect}: a small call still succeeds where a large one is refused`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 10);
    const { meter } = await openTestMeter(t, database);
    const answers = await Promise.all([100, 10].map((cost) => callOnce(meter, callerOf('u'), cost)));
    t.same(answers, ['TG_CREDITS_INSUFFICIENT', null]);
  });

  t.test(`${dialect}: a key's own limit stops that key, and the user's credits stay for the others`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    await addKey(database, 'k', 'u', 10);
    const { meter } = await openTestMeter(t, database);
    const limited = callerOf('u', 'k', true);
    const answers = await Promise.all(Array.from({ length: 20 }, () => callOnce(meter, limited, 3)));
    t.equal(answers.filter((code) => code === null).length, 3);
    t.equal(answers.filter((code) => code === 'TG_KEY_LIMIT_REACHED').length, 17);
    t.equal(await callOnce(meter, callerOf('u'), 91), null);
    await meter.close();
    t.equal(await balanceOf(database, 'u'), 0);
    t.match(await database.db.selectFrom('api_keys').select('spent').execute(), [{ spent: 9 }]);
    await booksAgree(t, database);
  });

  t.test(`${dialect}: a hand-made edit counts within a second on a warm instance`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 1000);
    const { meter } = await openTestMeter(t, database);
    t.equal(await callOnce(meter, callerOf('u'), 1), null);
    await sql`UPDATE users SET credits = 0 WHERE id = 'u'`.execute(database.db);
    await until(
      () => callOnce(meter, callerOf('u'), 1),
      (code) => code === 'TG_CREDITS_INSUFFICIENT',
    );
    await sql`UPDATE users SET credits = 3 WHERE id = 'u'`.execute(database.db);
    await until(
      () => callOnce(meter, callerOf('u'), 1),
      (code) => code === null,
    );
    await meter.close();
    await booksAgree(t, database);
  });

  t.test(`${dialect}: an instance that stops is fenced by another, and its lease is for sale again`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    await addUser(test.database, 'u', 10);
    await test.database.db.insertInto('instances').values({ id: 'dead', seq: 7 }).execute();
    const lease = { user_id: 'u', key_id: '', instance: 'dead', amount: 10, recall: '' as const };
    await test.database.db.insertInto('leases').values(lease).execute();
    const { meter } = await openTestMeter(t, test.database);
    t.equal(await callOnce(meter, callerOf('u'), 10), 'TG_CREDITS_RESERVED', 'nobody is told that credits are missing');
    await until(
      () => callOnce(meter, callerOf('u'), 10),
      (code) => code === null,
    );
  });

  t.test(
    `${dialect}: an instance that was taken for dead goes on as a new one and its charges are booked`,
    async (t) => {
      const { database } = await migratedDatabase(t, dialect);
      await addUser(database, 'u', 100);
      const { meter } = await openTestMeter(t, database);
      const hold = (await tryHold(meter, callerOf('u'), 5)) as Hold;
      const before = meter.state().instance;
      await sql`UPDATE instances SET fenced = true`.execute(database.db);
      await until(
        () => meter.state().instance,
        (instance) => instance !== before,
      );
      meter.settle(hold, 200, 'delivered');
      await meter.close();
      t.equal(await balanceOf(database, 'u'), 95);
      await booksAgree(t, database);
    },
  );

  t.test(`${dialect}: charges are kept while the store is down and booked once when it is back`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    await addUser(database, 'cold', 100);
    const { meter } = await openTestMeter(t, database);
    t.equal(await callOnce(meter, callerOf('u'), 1), null);
    await sql`ALTER TABLE ledger RENAME TO elsewhere`.execute(database.db);
    for (let call = 0; call < 5; call++)
      t.equal(await callOnce(meter, callerOf('u'), 1), null, 'the lease still sells');
    await until(
      () => meter.state().isStoreUp,
      (isUp) => !isUp,
    );
    t.equal(
      await callOnce(meter, callerOf('cold'), 1),
      'TG_STORE_UNAVAILABLE',
      'nobody waits for a store that is down',
    );
    t.ok(meter.state().unsentCharges >= 5);
    await sql`ALTER TABLE elsewhere RENAME TO ledger`.execute(database.db);
    await until(
      () => meter.state().unsentCharges,
      (unsent) => unsent === 0,
    );
    t.equal(await balanceOf(database, 'u'), 94);
    await booksAgree(t, database);
  });

  t.test(`${dialect}: a closed meter leaves no lease and no live instance behind`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    const { meter } = await openTestMeter(t, database);
    await callOnce(meter, callerOf('u'), 1);
    await meter.close();
    t.same(await database.db.selectFrom('leases').selectAll().execute(), []);
    t.same(await database.db.selectFrom('instances').selectAll().where(sql<boolean>`NOT fenced`).execute(), []);
    t.throws(() => meter.hold(callerOf('u'), { cost: 1, route: 'r', requestId: 'q' }), { code: 'TG_SHUTTING_DOWN' });
  });

  t.test(`${dialect}: a hold ends once, and nobody asks about it afterwards`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    const { meter } = await openTestMeter(t, database);
    const hold = await meter.hold(callerOf('u'), { cost: 1, route: 'r', requestId: 'q' });
    t.equal(meter.remaining(hold, true), 99);
    meter.settle(hold, 200, 'delivered');
    t.throws(() => meter.remaining(hold, true), /asked while the hold is open/);
    t.throws(() => meter.settle(hold, 200, 'delivered'), /a hold ends exactly once/);
    t.throws(() => meter.release(hold), /a hold ends exactly once/);
  });

  t.test(`${dialect}: a charge is an entry with the call's route, key, request and status`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    await addKey(database, 'k', 'u', null);
    const { meter, observed } = await openTestMeter(t, database);
    const hold = await meter.hold(callerOf('u', 'k'), { cost: 4, route: 'search', requestId: 'req-1' });
    t.equal(meter.remaining(hold, true), 96);
    t.equal(meter.remaining(hold, false), 100);
    meter.settle(hold, 201, 'delivered');
    await meter.close();
    const entry = await database.db.selectFrom('ledger').selectAll().where('kind', '=', 'charge').executeTakeFirst();
    t.match(entry, {
      id: hold.chargeId,
      user_id: 'u',
      amount: -4,
      route: 'search',
      key_id: 'k',
      request_id: 'req-1',
      status: 201,
    });
    t.equal(entry?.created_at, observed.charges[0]?.at);
  });
}

t.test('postgres: a user whose row somebody has locked keeps nobody else waiting', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'locked', 100);
  await addUser(test.database, 'other', 100);
  const { meter } = await openTestMeter(t, test.database);
  let isLocked = true;
  const slow = await openAgain(t, test)
    .db.transaction()
    .execute(async (trx) => {
      await sql`SELECT 1 FROM users WHERE id = 'locked' FOR UPDATE`.execute(trx);
      const answer = callOnce(meter, callerOf('locked'), 1).then((code) => ({ code, isLocked }));
      t.equal(await callOnce(meter, callerOf('other'), 1), null);
      isLocked = false;
      return { answer };
    });
  t.same(await slow.answer, { code: null, isLocked: false }, 'the call of the locked user went on after the lock');
});

t.test('postgres: charges of a user whose row somebody has locked are kept until the lock is gone', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'locked', 100);
  await addUser(test.database, 'other', 100);
  const { meter } = await openTestMeter(t, test.database);
  t.equal(await callOnce(meter, callerOf('locked'), 1), null);
  await until(
    () => meter.state().unsentCharges,
    (unsent) => unsent === 0,
  );
  await openAgain(t, test)
    .db.transaction()
    .execute(async (trx) => {
      await sql`SELECT 1 FROM users WHERE id = 'locked' FOR UPDATE`.execute(trx);
      t.equal(await callOnce(meter, callerOf('locked'), 1), null, 'the lease sells on');
      t.equal(await callOnce(meter, callerOf('other'), 1), null);
      await until(
        () => balanceOf(test.database, 'other'),
        (balance) => balance === 99,
      );
      t.equal(await balanceOf(test.database, 'locked'), 99);
    });
  await until(
    () => balanceOf(test.database, 'locked'),
    (balance) => balance === 98,
  );
  await booksAgree(t, test.database);
});

async function twoMeters(
  t: Parameters<typeof openTestMeter>[0],
  test: Parameters<typeof openAgain>[1],
): Promise<[Meter, Meter]> {
  const first = await openTestMeter(t, test.database);
  const second = await openTestMeter(t, openAgain(t, test));
  return [first.meter, second.meter];
}

async function balanceOf(database: Database, id: string): Promise<number> {
  return (await database.db.selectFrom('users').select('credits').where('id', '=', id).executeTakeFirstOrThrow())
    .credits;
}

function usageOf(database: Database) {
  return database.db.selectFrom('usage_hourly').selectAll().execute();
}

/** Every balance is the sum of its ledger. */
async function booksAgree(t: Parameters<typeof openTestMeter>[0], database: Database): Promise<void> {
  const { rows } = await sql`
    SELECT u.id FROM users AS u WHERE u.credits <> (SELECT coalesce(sum(amount), 0) FROM ledger WHERE user_id = u.id)
  `.execute(database.db);
  t.same(rows, [], 'every balance is the sum of its ledger');
}
