// What the meter does with its journal: charges that wait on disk, a disk that fails, charges that the database does not take.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import { systemFiles } from '../../src/journal/files.ts';
import { linesOf } from '../../src/journal/segment-reader.ts';
import { isSegmentName } from '../../src/journal/segments.ts';
import { fenceInstance } from '../../src/store/instances.ts';
import type { StoreDoor } from '../../src/store/sync/door.ts';
import { dialects, migratedDatabase, temporaryFolder } from '../helpers/databases.ts';
import { addUser, callerOf, callOnce, openBarredDoor, openTestMeter, tryHold } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

t.test('no more calls are taken when what is owed takes all the room that it may', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  await addUser(database, 'u', 100_000);
  let isDown = false;
  const door = openBarredDoor(t, database, () => isDown);
  // A gigabyte is neither written nor sent for a test; that it counts is enough.
  const store = {
    ...door,
    exchange: (...[message, locks]: Parameters<StoreDoor['exchange']>) =>
      door.exchange({ ...message, charges: message.charges.map((charge) => ({ ...charge, requestId: 'q' })) }, locks),
  };
  const files = { ...systemFiles, write: (_fd: number, bytes: Buffer, from: number) => bytes.length - from };
  const { meter } = await openTestMeter(t, database, { store, files });
  t.equal(await callOnce(meter, callerOf('u'), 1_000), null);
  await until(
    () => meter.state(),
    ({ unsentCharges, leasedCredits }) => unsentCharges === 0 && leasedCredits > 1_000,
  );
  isDown = true;
  const call = { cost: 1, route: 'r', requestId: 'x'.repeat(2 ** 23) };
  const outcome = await until(
    async () => {
      try {
        meter.settle(await meter.hold(callerOf('u'), call), 200, 'delivered');
        return null;
      } catch (error) {
        return (error as { code: string }).code;
      }
    },
    (code) => code !== null,
    // A gigabyte is made all the same.
    60_000,
  );
  t.equal(outcome, 'TG_JOURNAL_FULL');
  const { unsentCharges } = meter.state();
  t.ok(unsentCharges >= 128 && unsentCharges < 132, `${unsentCharges} of 8 MiB each`);
  isDown = false;
  await until(
    () => callOnce(meter, callerOf('u'), 1),
    (code) => code === null,
  );
});

t.test('the journal says as which instance the process goes on that was taken for dead', async (t) => {
  const test = await migratedDatabase(t, 'sqlite');
  const dataDir = await temporaryFolder(t);
  const { meter } = await openTestMeter(t, test.database, { dataDir });
  const { instance } = meter.state();
  t.equal(await fenceInstance(test.database.db, instance, null), true);
  const now = await until(
    () => meter.state().instance,
    (named) => named !== instance,
  );
  const [folder = ''] = readdirSync(dataDir);
  const names = readdirSync(join(dataDir, folder)).filter(isSegmentName).sort();
  const headers = names.flatMap((name) => [...linesOf(join(dataDir, folder, name))].map(({ record }) => record));
  t.match(headers, [{ header: { instance } }, { header: { instance: now } }]);
});

for (const dialect of dialects) {
  t.test(`${dialect}: more charges than memory takes wait in the journal, and all are booked once`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 200_000);
    let isDown = false;
    const store = openBarredDoor(t, database, () => isDown);
    const { meter } = await openTestMeter(t, database, { store });
    // The rate of these makes the lease big enough for what follows.
    for (let calls = 0; calls < 4; calls++) t.equal(await callOnce(meter, callerOf('u'), 6_000), null);
    await until(
      () => meter.state(),
      ({ unsentCharges, leasedCredits }) => unsentCharges === 0 && leasedCredits > 12_000,
    );
    isDown = true;
    for (let calls = 0; calls < 12_000; calls++) {
      const hold = await tryHold(meter, callerOf('u'), 1);
      if (typeof hold === 'string') return t.fail(`call ${calls} was refused: ${hold}`);
      meter.settle(hold, 200, 'delivered');
    }
    t.equal(meter.state().unsentCharges, 12_000);
    isDown = false;
    await until(
      () => meter.state().unsentCharges,
      (unsent) => unsent === 0,
    );
    const sum = sql<{ calls: number }>`SELECT count(*) AS calls FROM ledger WHERE kind = 'charge'`;
    t.match((await sum.execute(database.db)).rows, [{ calls: 12_004 }]);
    t.match(await database.db.selectFrom('users').select('credits').execute(), [{ credits: 200_000 - 36_000 }]);
  });

  t.test(`${dialect}: with a disk that is full calls go on while the store is there, and not without it`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 1_000);
    let [isFull, isDown] = [false, false];
    const { meter } = await openTestMeter(t, database, {
      store: openBarredDoor(t, database, () => isDown),
      files: {
        ...systemFiles,
        write: (fd, bytes, from) => {
          if (isFull) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
          return systemFiles.write(fd, bytes, from);
        },
      },
    });
    isFull = true;
    t.equal(await callOnce(meter, callerOf('u'), 1), null);
    await until(
      () => meter.state().journalFault,
      (fault) => fault !== null,
    );
    t.equal(await callOnce(meter, callerOf('u'), 1), null);
    await until(
      () => meter.state(),
      ({ unsentCharges, leasedCredits }) => unsentCharges === 0 && leasedCredits > 1,
    );
    isDown = true;
    await until(
      () => meter.state().isStoreUp,
      (isUp) => !isUp,
    );
    t.equal(await callOnce(meter, callerOf('u'), 1), 'TG_JOURNAL_FULL');
    isFull = false;
    await until(
      () => meter.state().journalFault,
      (fault) => fault === null,
    );
    t.equal(await callOnce(meter, callerOf('u'), 1), null, 'the lease serves it');
    isDown = false;
    await until(
      () => meter.state().unsentCharges,
      (unsent) => unsent === 0,
    );
    t.match(await database.db.selectFrom('users').select('credits').execute(), [{ credits: 997 }]);
  });

  t.test(`${dialect}: a charge that the database does not take is set aside, and the others go on`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const users = ['a', 'b', 'c', 'd', 'e'];
    for (const user of users) await addUser(database, user, 100);
    const dataDir = await temporaryFolder(t);
    const { meter, observed } = await openTestMeter(t, database, { dataDir });
    const holds = await Promise.all(users.map((user) => tryHold(meter, callerOf(user), 7)));
    for (const hold of holds) {
      if (typeof hold === 'string') return t.fail(hold);
      meter.settle(hold, hold.userId === 'c' ? 2 ** 70 : 200, 'delivered');
    }
    await until(
      () => meter.state().unsentCharges,
      (unsent) => unsent === 0,
    );
    t.equal(observed.setAside, 1);
    t.equal(readdirSync(join(dataDir, 'set-aside')).length, 1);
    const rows = await database.db.selectFrom('users').select(['id', 'credits']).orderBy('id').execute();
    t.same(
      rows.map(({ credits }) => credits),
      [93, 93, 100, 93, 93],
    );
    t.equal(await callOnce(meter, callerOf('c'), 100), null, 'nothing of it stays reserved');
    return undefined;
  });
}
