// While the store is down calls are served by leases and a bounded allowance, or refused, as the operator has chosen; what was
// sold is charged once when it is back.

import { cp } from 'node:fs/promises';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { systemClock } from '../../src/clock.ts';
import { LastKnown } from '../../src/fallback/last-known.ts';
import type { Meter } from '../../src/meter/meter.ts';
import { allowanceOf } from '../../src/meter/outage.ts';
import type { Database } from '../../src/store/database.ts';
import { openStoreDoor } from '../../src/store/sync/door.ts';
import { dialects, migratedDatabase, openAgain, temporaryFolder } from '../helpers/databases.ts';
import { FrailDoor } from '../helpers/frail-door.ts';
import {
  addKey,
  addUser,
  callerOf,
  callOnce,
  type MeterTerms,
  openTestDoor,
  openTestMeter,
  tryHold,
} from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

t.test('an allowance is a fair part of what nobody has reserved, less what was charged before', (t) => {
  t.equal(allowanceOf({ credits: 1000, leased: 100, instances: 1, unposted: 0 }), 900);
  t.equal(allowanceOf({ credits: 1000, leased: 100, instances: 4, unposted: 0 }), 225);
  t.equal(allowanceOf({ credits: 1000, leased: 100, instances: 4, unposted: 200 }), 25);
  t.equal(allowanceOf({ credits: 1000, leased: 100, instances: 4, unposted: 300 }), 0);
  t.equal(allowanceOf({ credits: -5, leased: 100, instances: 1, unposted: 0 }), 0);
  t.end();
});

for (const dialect of dialects) {
  t.test(
    `${dialect}: an outage sells the lease and a fair part of what nobody has reserved, and charges all of it once`,
    async (t) => {
      const test = await migratedDatabase(t, dialect);
      await addUser(test.database, 'u', 1_000);
      const { meter, observed, door } = await openFrail(t, test.database);
      await openTestMeter(t, openAgain(t, test));
      await warmUp(meter, 'u');
      const { credits, leased } = await standingOf(test.database, 'u');
      await goDown(door, meter);
      const sold = await callUntilRefused(meter, 'u');
      t.same(sold, { calls: leased + Math.floor((credits - leased) / 2), code: 'TG_STORE_UNAVAILABLE' });
      t.same(await callUntilRefused(meter, 'u'), { calls: 0, code: 'TG_STORE_UNAVAILABLE' }, 'once for each outage');
      t.equal(observed.admittedWhileDown, sold.calls);
      door.isShut = false;
      await until(
        () => meter.state().unsentCharges,
        (unsent) => unsent === 0,
      );
      t.equal((await standingOf(test.database, 'u')).credits, credits - sold.calls);
      t.equal(await callOnce(meter, callerOf('u'), 1), null);
      await meter.close();
      await booksAgree(t, test.database);
      t.equal(observed.overdraft, 0);
    },
  );

  t.test(`${dialect}: calls in line when the store goes down are served by the allowance`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 1_000);
    const { meter, door } = await openFrail(t, database);
    await warmUp(meter, 'u');
    door.isShut = true;
    const inLine = [400, 900, 400].map((cost) => callOnce(meter, callerOf('u'), cost));
    t.same(await Promise.all(inLine), [null, 'TG_STORE_UNAVAILABLE', null], 'who asks for too much keeps nobody out');
    door.isShut = false;
    await meter.close();
    await booksAgree(t, database);
  });

  t.test(`${dialect}: what is held in an outage can be given back, and sold again`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    const { meter, door } = await openFrail(t, database);
    await warmUp(meter, 'u');
    await goDown(door, meter);
    for (let round = 0; round < 3; round++) {
      const hold = await tryHold(meter, callerOf('u'), 99);
      if (typeof hold === 'string') throw new Error(hold);
      t.equal(await callOnce(meter, callerOf('u'), 1), 'TG_STORE_UNAVAILABLE', 'all that is known is held');
      meter.release(hold);
    }
    const hold = await tryHold(meter, callerOf('u'), 99);
    door.isShut = false;
    await until(
      () => standingOf(database, 'u'),
      ({ leased }) => leased === 99,
    );
    t.equal(await callOnce(meter, callerOf('u'), 1), 'TG_CREDITS_INSUFFICIENT', 'what is in use is reserved again');
    if (typeof hold !== 'string') meter.release(hold);
    t.equal(await callOnce(meter, callerOf('u'), 1), null);
  });

  t.test(`${dialect}: a store that was asked and does not answer is down, and nobody waits on for it`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 1_000);
    const { meter, observed, door } = await openFrail(t, database);
    await warmUp(meter, 'u');
    const letGo = door.holdAnswers();
    const calls = Array.from({ length: 40 }, () => callOnce(meter, callerOf('u'), 1));
    t.ok(meter.state().unsentCharges < 40, 'some wait in line');
    t.same([...new Set(await Promise.all(calls))], [null]);
    t.equal(meter.isStoreUp, false);
    t.ok(observed.admittedWhileDown > 0);
    letGo();
    await until(
      () => meter.state(),
      (state) => state.isStoreUp && state.unsentCharges === 0,
    );
    t.equal((await standingOf(database, 'u')).credits, 959);
    await booksAgree(t, database);
  });

  t.test(`${dialect}: a key with a limit of its own has its lease and no more`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 1_000);
    await addKey(database, 'k', 'u', 500);
    const { meter, door } = await openFrail(t, database);
    await warmUp(meter, 'u', callerOf('u', 'k', true));
    const { leased } = await standingOf(database, 'u');
    await goDown(door, meter);
    t.same(await callUntilRefused(meter, 'u', callerOf('u', 'k', true)), {
      calls: leased,
      code: 'TG_STORE_UNAVAILABLE',
    });
  });

  t.test(
    `${dialect}: a meter opens in an outage, serves by what is known, and charges when the store is back`,
    async (t) => {
      const { database } = await migratedDatabase(t, dialect);
      await addUser(database, 'u', 1_000);
      const known = new LastKnown();
      known.noteStanding('u', 1_000, 100);
      known.noteInstances(3);
      const debts = { of: (user: string) => (user === 'u' ? 250 : 0), forget: () => {} };
      const { meter, door } = await openFrail(t, database, { known, debts }, { isShut: true });
      t.equal(meter.isStoreUp, false);
      t.same(await callUntilRefused(meter, 'u'), { calls: 50, code: 'TG_STORE_UNAVAILABLE' });
      t.same(await callUntilRefused(meter, 'stranger'), { calls: 0, code: 'TG_STORE_UNAVAILABLE' });
      door.isShut = false;
      await until(
        () => meter.state().unsentCharges,
        (unsent) => unsent === 0,
      );
      t.equal((await standingOf(database, 'u')).credits, 950);
      await meter.close();
      await booksAgree(t, database);
    },
  );

  t.test(`${dialect}: what is owed after a restart in an outage is not sold again when it is over`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'busy', 100_000);
    await addUser(database, 'u', 1_000);
    const dataDir = await temporaryFolder(t);
    const known = new LastKnown();
    const first = await openFrail(t, database, { known }, { dataDir });
    await warmUp(first.meter, 'busy');
    await warmUp(first.meter, 'u');
    await goDown(first.door, first.meter);
    // More than one message takes: what the others in it owe is reserved first.
    for (let call = 0; call < 2_500; call++) await callOnce(first.meter, callerOf('busy'), 1);
    t.same(await callUntilRefused(first.meter, 'u'), { calls: 999, code: 'TG_STORE_UNAVAILABLE' });
    t.equal(await first.meter.close(), 3_499);
    await database.db.updateTable('users').set({ credits: 599 }).where('id', '=', 'u').execute();

    const second = await openFrail(t, database, { known }, { dataDir, isShut: true });
    t.equal(await callOnce(second.meter, callerOf('u'), 1), 'TG_STORE_UNAVAILABLE');
    second.door.isShut = false;
    let sold = 0;
    while (second.meter.state().unsentCharges > 0) {
      if ((await callOnce(second.meter, callerOf('u'), 1)) === null) sold += 1;
      await new Promise(setImmediate);
    }
    t.equal(sold, 0);
    t.equal((await standingOf(database, 'u')).credits, -400, 'an operator had lowered it meanwhile');
    t.equal(second.observed.overdraft, 400);
    await booksAgree(t, database);
  });

  t.test(
    `${dialect}: after a crash what the store has acknowledged since it was last written down counts too`,
    async (t) => {
      const { database } = await migratedDatabase(t, dialect);
      await addUser(database, 'u', 1_000);
      const dataDir = await temporaryFolder(t);
      const known = new LastKnown();
      known.noteStanding('u', 1_000, 0);
      const first = await openFrail(t, database, {}, { dataDir });
      for (let call = 0; call < 300; call++) t.equal(await callOnce(first.meter, callerOf('u'), 1), null);
      await until(
        () => first.meter.state().unsentCharges,
        (unsent) => unsent === 0,
      );
      // A folder that nobody has locked is what a death leaves behind.
      const left = await temporaryFolder(t);
      await cp(dataDir, left, { recursive: true, filter: (path) => !/\/lock/.test(path) });
      const second = await openFrail(t, database, { known }, { dataDir: left, isShut: true });
      t.same(await callUntilRefused(second.meter, 'u'), { calls: 700, code: 'TG_STORE_UNAVAILABLE' });
    },
  );

  t.test(`${dialect}: with refuse, nothing is sold in an outage`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 1_000);
    const { meter, observed, door } = await openFrail(t, database, { whenDown: 'refuse' });
    await warmUp(meter, 'u');
    const hold = await tryHold(meter, callerOf('u'), 1);
    await goDown(door, meter);
    t.same(await callUntilRefused(meter, 'u'), { calls: 0, code: 'TG_STORE_UNAVAILABLE' });
    if (typeof hold !== 'string') meter.settle(hold, 200, 'delivered');
    t.equal(observed.admittedWhileDown, 0);
    door.isShut = false;
    await until(
      () => callOnce(meter, callerOf('u'), 1),
      (code) => code === null,
    );
    await meter.close();
    t.equal((await standingOf(database, 'u')).credits, 997, 'what was in flight is charged');
    await booksAgree(t, database);
  });
}

t.test('with refuse, nothing is held 6 s after the last acknowledged message was sent', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  await addUser(database, 'u', 1_000);
  let laterMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
  const door = new FrailDoor(openTestDoor(t, database));
  const { meter } = await openTestMeter(t, database, { store: door, clock, outage: { whenDown: 'refuse' } });
  await warmUp(meter, 'u');
  const letFirstGo = door.holdAnswers();
  t.equal(await callOnce(meter, callerOf('u'), 1), null, 'the lease serves as long as it may');
  await untilHeld(door);
  laterMs = 6_001;
  let isAdmitted = false;
  const waiting = callOnce(meter, callerOf('u'), 1).then((code) => {
    isAdmitted = code === null;
  });
  const letSecondGo = door.holdAnswers();
  letFirstGo();
  await until(
    () => meter.state().unsentCharges,
    (unsent) => unsent === 0,
  );
  await untilHeld(door);
  t.equal(isAdmitted, false, 'nor by an answer that comes then');
  letSecondGo();
  await waiting;
  t.equal(isAdmitted, true);
});

t.test('an error that is no outage keeps a meter from opening', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  const store = openStoreDoor(database, async () => {
    throw new Error('these tables are not ours');
  });
  await t.rejects(openTestMeter(t, database, { store }), { message: 'these tables are not ours' });
});

t.test('an error that is no outage and comes later is told', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  let isOurs = false;
  const store = openStoreDoor(database, async () => {
    if (!isOurs) throw new Error('these tables are not ours');
  });
  const door = new FrailDoor(store);
  door.isShut = true;
  const { meter } = await openTestMeter(t, database, { store: door });
  t.equal(meter.state().isStoreUnusable, false);
  door.isShut = false;
  await until(
    () => meter.state().isStoreUnusable,
    (isUnusable) => isUnusable,
  );
  isOurs = true;
  await until(
    () => meter.state(),
    (state) => state.isStoreUp && !state.isStoreUnusable,
  );
});

function untilHeld(door: FrailDoor): Promise<number> {
  return until(
    () => door.heldAnswers,
    (held) => held > 0,
  );
}

async function openFrail(
  t: Test,
  database: Database,
  outage: NonNullable<MeterTerms['outage']> = {},
  { isShut = false, ...terms }: Pick<MeterTerms, 'dataDir'> & { isShut?: boolean } = {},
) {
  const door = new FrailDoor(openTestDoor(t, database));
  door.isShut = isShut;
  const opened = await openTestMeter(t, database, { ...terms, store: door, outage });
  t.teardown(() => {
    door.isShut = false;
  });
  return { ...opened, door };
}

/** One call, and then nothing on its way any more. */
async function warmUp(meter: Meter, user: string, caller = callerOf(user)): Promise<void> {
  if ((await callOnce(meter, caller, 1)) !== null) throw new Error('the first call was refused');
  await until(
    () => meter.state(),
    ({ unsentCharges, leasedCredits }) => unsentCharges === 0 && leasedCredits >= 15,
  );
}

async function goDown(door: FrailDoor, meter: Meter): Promise<void> {
  door.isShut = true;
  await until(
    () => meter.isStoreUp,
    (isUp) => !isUp,
  );
}

/** How many calls of one credit pass, and what the next hears. */
async function callUntilRefused(meter: Meter, user: string, caller = callerOf(user)) {
  for (let calls = 0; ; calls++) {
    const code = await callOnce(meter, caller, 1);
    if (code !== null) return { calls, code };
  }
}

async function standingOf({ db }: Database, user: string): Promise<{ credits: number; leased: number }> {
  const { credits } = await db.selectFrom('users').select('credits').where('id', '=', user).executeTakeFirstOrThrow();
  const leases = db
    .selectFrom('leases as l')
    .innerJoin('instances as i', 'i.id', 'l.instance')
    .select('l.amount')
    .where('l.user_id', '=', user)
    .where(sql<boolean>`NOT i.fenced`);
  return { credits, leased: (await leases.execute()).reduce((sum, { amount }) => sum + amount, 0) };
}

/** Each charge is in the ledger once, and balances are the sum of it. */
async function booksAgree(t: Test, { db }: Database): Promise<void> {
  const users = await db.selectFrom('users').select(['id', 'credits']).execute();
  for (const { id, credits } of users) {
    const entries = await db.selectFrom('ledger').select('amount').where('user_id', '=', id).execute();
    t.equal(
      entries.reduce((sum, { amount }) => sum + amount, 0),
      credits,
    );
  }
}
