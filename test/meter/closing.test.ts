// How long a meter tries to hand in what is owed when it closes: whoever stops a process has to wait for it.

import t, { type Test } from 'tap';
import type { Meter } from '../../src/meter/meter.ts';
import type { Database } from '../../src/store/database.ts';
import { dialects, migratedDatabase, temporaryFolder } from '../helpers/databases.ts';
import { FrailDoor } from '../helpers/frail-door.ts';
import { type HandClock, handClock } from '../helpers/hand-clock.ts';
import { addUser, callerOf, callOnce, openTestDoor, openTestMeter } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

const stepMs = 50;

for (const dialect of dialects) {
  t.test(`${dialect}: in an outage a meter tries for two seconds, and leaves the rest to the journal`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const { meter, door, clock, dataDir } = await openOwing(t, database);
    door.isShut = true;
    await passUntil(clock, () => !meter.isStoreUp);
    const { tookMs, left } = await closeBy(clock, meter);
    t.equal(left, 1);
    t.ok(tookMs >= 2_000, `${tookMs} ms`);
    t.ok(tookMs <= 2_000 + 2 * stepMs, `${tookMs} ms`);
    const next = await openTestMeter(t, database, { dataDir });
    await until(
      () => next.meter.state().unsentCharges,
      (unsent) => unsent === 0,
    );
    t.match(await database.db.selectFrom('users').select('credits').execute(), [{ credits: 99 }]);
  });

  t.test(`${dialect}: a store that answers again within the two seconds gets all of it`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const { meter, door, clock } = await openOwing(t, database);
    door.isShut = true;
    await passUntil(clock, () => !meter.isStoreUp);
    const opensAtMs = clock.nowMs() + 1_500;
    const { left } = await closeBy(clock, meter, () => {
      door.isShut = clock.nowMs() < opensAtMs;
    });
    t.equal(left, 0);
    t.match(await database.db.selectFrom('users').select('credits').execute(), [{ credits: 99 }]);
  });

  t.test(`${dialect}: where the store was up, a meter tries for ten seconds`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const { meter, door, clock } = await openOwing(t, database);
    door.isShut = true;
    const { tookMs, left } = await closeBy(clock, meter);
    t.equal(left, 1);
    t.ok(tookMs >= 10_000 && tookMs <= 10_000 + 2 * stepMs, `${tookMs} ms`);
  });
}

/** A meter that owes one charge, by a clock that the test turns. */
async function openOwing(t: Test, database: Database) {
  await addUser(database, 'u', 100);
  const clock = handClock();
  const dataDir = await temporaryFolder(t);
  const door = new FrailDoor(openTestDoor(t, database));
  const { meter } = await openTestMeter(t, database, { clock, dataDir, store: door });
  const called = callOnce(meter, callerOf('u'), 1);
  let isOver = false;
  void called.then(() => {
    isOver = true;
  });
  await passUntil(clock, () => isOver);
  t.equal(await called, null);
  t.equal(meter.state().unsentCharges, 1);
  return { meter, door, clock, dataDir };
}

/** Lets time pass step by step, with what it brings about in between. */
async function passUntil(clock: HandClock, isRight: () => boolean): Promise<void> {
  await until(() => {
    if (!isRight()) clock.pass(stepMs);
    return isRight();
  }, Boolean);
}

async function closeBy(clock: HandClock, meter: Meter, eachStep = () => {}) {
  const startMs = clock.nowMs();
  let left: number | null = null;
  void meter.close().then((charges) => {
    left = charges;
  });
  await passUntil(clock, () => {
    eachStep();
    return left !== null;
  });
  return { tookMs: clock.nowMs() - startMs, left };
}
