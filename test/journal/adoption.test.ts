// What a process leaves behind that died with charges in its journal: the next one that starts in the same dataDir looks
// after it, whatever has become of the files.

import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import t, { type Test } from 'tap';
import { systemClock } from '../../src/clock.ts';
import { lockAbandonedFolders, makeInstanceFolder } from '../../src/journal/folder.ts';
import { Journal } from '../../src/journal/journal.ts';
import { decodeLine, encodeEntry, encodeRecord, entryOf } from '../../src/journal/records.ts';
import type { Database } from '../../src/store/database.ts';
import { fenceInstance } from '../../src/store/instances.ts';
import type { StoreDoor } from '../../src/store/sync/door.ts';
import type { Charge } from '../../src/store/sync/exchange.ts';
import { UsersLockedError } from '../../src/store/sync/transaction.ts';
import { dialects, migratedDatabase, temporaryFolder } from '../helpers/databases.ts';
import {
  addInstance,
  addUser,
  callerOf,
  callOnce,
  chargeOf,
  openTestDoor,
  openTestMeter,
  passing,
} from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: charges of a process that died are booked once, and what it had reserved is free`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a', 'b', 'c'], posted: ['a'] });
    const { meter } = await openTestMeter(t, database, dead);
    t.equal(await callOnce(meter, callerOf('u'), 85), null, 'of 100, 15 were charged');
    await untilAdopted(dead.dataDir);
    await meter.close();
    t.same(await chargedIds(database), ['a', 'b', 'c', 'the call']);
    t.equal(await balanceOf(database), 0);
    t.same(readdirSync(dead.dataDir), []);
  });

  t.test(`${dialect}: charges of a program that did not note how calls end are booked without it`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a', 'b'], posted: [] });
    const [header = '', first = '', second = ''] = readFileSync(dead.file, 'utf8').split('\n');
    writeFileSync(dead.file, `${header}\n${withoutEnding(first)}\n${second}\n`);
    await openTestMeter(t, database, dead);
    await untilAdopted(dead.dataDir);
    t.same(await database.db.selectFrom('ledger').select(['id', 'ended']).where('kind', '=', 'charge').execute(), [
      { id: 'a', ended: null },
      { id: 'b', ended: 'delivered' },
    ]);
  });

  t.test(`${dialect}: charges of an instance that was fenced meanwhile are booked all the same`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a', 'b'], posted: [] });
    t.equal(await fenceInstance(database.db, dead.instance, null), true);
    await openTestMeter(t, database, dead);
    await untilAdopted(dead.dataDir);
    t.same(await chargedIds(database), ['a', 'b']);
    t.equal(await balanceOf(database), 90);
    t.same((await livingInstances(database)).length, 1, 'whoever spoke for it is gone');
  });

  t.test(`${dialect}: the folder of a living process is left alone`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 100);
    const dataDir = await temporaryFolder(t);
    const { meter: first } = await openTestMeter(t, database, { dataDir });
    const { meter: second } = await openTestMeter(t, database, { dataDir });
    t.equal(readdirSync(dataDir).length, 2);
    t.equal(await callOnce(first, callerOf('u'), 1), null);
    t.equal(await callOnce(second, callerOf('u'), 1), null);
    t.equal((await livingInstances(database)).length, 2);
  });

  t.test(`${dialect}: the end of a file that a crash has torn off is passed over`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a', 'b', 'c'], posted: [] });
    truncateSync(dead.file, readFileSync(dead.file).length - 9);
    await openTestMeter(t, database, dead);
    await untilAdopted(dead.dataDir);
    t.same(await chargedIds(database), ['a', 'b']);
    t.notOk(existsSync(join(dead.dataDir, 'set-aside')));
  });

  t.test(`${dialect}: a damaged line is set aside, and all around it is booked`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a', 'b', 'c'], posted: [] });
    writeFileSync(dead.file, readFileSync(dead.file, 'utf8').replace('"id":"b"', '"id":"x"'));
    const { observed } = await openTestMeter(t, database, dead);
    await untilAdopted(dead.dataDir);
    t.same(await chargedIds(database), ['a', 'c']);
    t.equal(observed.setAside, 1);
    const [file = ''] = readdirSync(join(dead.dataDir, 'set-aside'));
    t.match(readFileSync(join(dead.dataDir, 'set-aside', file), 'utf8'), /the line is damaged.*\\"id\\":\\"x\\"/);
  });

  t.test(`${dialect}: a file of a version that is not known is set aside whole`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a'], posted: [] });
    const header = { format: 99, instance: dead.instance, at: '2026-01-01T00:00:00.000Z' };
    writeFileSync(join(dead.folder, 'journal-000002.jsonl'), `${encodeRecord({ header })}whatever\n`);
    await openTestMeter(t, database, dead);
    await untilAdopted(dead.dataDir);
    t.same(await chargedIds(database), ['a']);
    t.match(readdirSync(join(dead.dataDir, 'set-aside')), [/journal-000002\.jsonl$/]);
  });

  t.test(`${dialect}: a store that has lost what it acknowledged gets it again`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a', 'b'], posted: ['a', 'b'], isLost: true });
    await openTestMeter(t, database, dead);
    await untilAdopted(dead.dataDir);
    t.same(await chargedIds(database), ['a', 'b']);
    t.equal(await balanceOf(database), 90);
  });

  t.test(`${dialect}: a charge that the database does not take keeps no other from being booked`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a', 'bad', 'b', 'c'], posted: [] });
    const { meter, observed } = await openTestMeter(t, database, dead);
    await untilAdopted(dead.dataDir);
    t.same(await chargedIds(database), ['a', 'b', 'c']);
    t.equal(observed.setAside, 1);
    t.equal(await callOnce(meter, callerOf('u'), 85), null);
    t.ok(existsSync(join(dead.dataDir, 'set-aside')));
  });
}

for (const trouble of ['answers nobody', 'knows nobody'] as const) {
  t.test(`a meter that closes leaves the rest to the next when the store ${trouble}`, async (t) => {
    const { database } = await migratedDatabase(t, 'sqlite');
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a', 'b', 'c'], posted: ['a'] });
    const door = openTestDoor(t, database);
    let refused = 0;
    const store = {
      ...passing(door),
      exchange: async (...[message, locks]: Parameters<StoreDoor['exchange']>) => {
        if (message.charges.length === 0) return door.exchange(message, locks);
        refused += 1;
        if (trouble === 'knows nobody') return { stale: true } as const;
        throw new Error('down');
      },
    };
    const { meter } = await openTestMeter(t, database, { ...dead, store });
    t.equal(meter.state().unsentCharges, 2, 'the store has one of the three');
    await until(
      () => refused,
      (times) => times > 0,
    );
    t.equal(await meter.close(), 2);
    await openTestMeter(t, database, dead);
    await untilAdopted(dead.dataDir);
    t.same(await chargedIds(database), ['a', 'b', 'c']);
  });
}

t.test('a folder that cannot be read keeps nobody from starting', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  const dead = await dieWith(t, database, { reserved: 10, charges: ['a'], posted: [] });
  mkdirSync(join(dead.folder, 'journal-000002.jsonl'));
  const { meter } = await openTestMeter(t, database, dead);
  t.equal(await callOnce(meter, callerOf('u'), 85), null);
  await meter.close();
  const left = lockAbandonedFolders(dead.dataDir);
  t.same(
    left.map(({ path }) => path),
    [dead.folder],
    'it is there for the next who comes',
  );
  for (const folder of left) folder.release();
});

for (const dialect of dialects) {
  t.test(`${dialect}: what is owed is reserved at once, but for users who stay locked`, async (t) => {
    for (const isLocked of [false, true]) {
      const { database } = await migratedDatabase(t, dialect);
      const dead = await dieWith(t, database, { reserved: 0, charges: ['a', 'b'], posted: [] });
      const door = openTestDoor(t, database);
      const policies: string[] = [];
      const exchange: StoreDoor['exchange'] = async (message, locks) => {
        if (message.instance === dead.instance && message.charges.length === 0) policies.push(locks);
        if (isLocked && locks === 'wait') throw new UsersLockedError('locked');
        return door.exchange(message, locks);
      };
      const { meter } = await openTestMeter(t, database, { ...dead, store: { ...passing(door), exchange } });
      t.equal(meter.isStoreUp, true);
      t.same(policies, isLocked ? ['wait', 'skip'] : ['wait']);
      await untilAdopted(dead.dataDir);
      t.equal(await balanceOf(database), 90);
    }
  });
}

for (const dialect of dialects) {
  t.test(`${dialect}: a caller elsewhere waits for what a process that died may have had booked already`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const charges = ['a', 'b'];
    const dead = await dieWith(t, database, { reserved: 0, charges, posted: charges, isUnheard: true });
    const [door, doorElsewhere] = [openTestDoor(t, database), openTestDoor(t, database)];
    let letGo = () => {};
    const isAsked = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const { meter: elsewhere } = await openTestMeter(t, database, {
      store: {
        ...passing(doorElsewhere),
        exchange: async (...message) => {
          const reply = await doorElsewhere.exchange(...message);
          if (!reply.stale && reply.leases.some(({ answer }) => answer === 'again')) letGo();
          return reply;
        },
      },
    });
    await openTestMeter(t, database, {
      ...dead,
      store: {
        ...passing(door),
        exchange: async (...[message, locks]) => {
          if (message.charges.length > 0) await isAsked;
          return door.exchange(message, locks);
        },
      },
    });
    t.equal(
      await callOnce(elsewhere, callerOf('u'), 85),
      null,
      '90 credits are left, 10 of them reserved for what is booked',
    );
    letGo();
    await untilAdopted(dead.dataDir);
    t.equal(await elsewhere.close(), 0);
    t.equal(await balanceOf(database), 5);
  });
}

for (const dialect of dialects) {
  t.test(`${dialect}: what a process that died had sent is late once another speaks for it`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const dead = await dieWith(t, database, { reserved: 90, charges: ['a', 'b'], posted: [] });
    const heard = await database.db.selectFrom('instances').select('seq').where('id', '=', dead.instance).execute();
    const door = openTestDoor(t, database);
    // Its last messages but one are lost, and the last one comes when somebody else has said what it owes.
    const leases = [{ user: 'u', key: '', keep: 80, need: 0, want: 0, emptied: false }];
    const late = { instance: dead.instance, seq: (heard[0]?.seq ?? 0) + 1_000, charges: [], leases, tallies: [] };
    const answers: boolean[] = [];
    await openTestMeter(t, database, {
      ...dead,
      store: {
        ...passing(door),
        exchange: async (message, locks) => {
          const reply = await door.exchange(message, locks);
          if (message.instance === dead.instance) answers.push((await door.exchange(late, 'wait')).stale);
          return reply;
        },
      },
    });
    await untilAdopted(dead.dataDir);
    t.same(answers, [true, true], 'after it was reserved, and after it was booked');
    t.equal(await balanceOf(database), 90);
  });
}

t.test('a meter that cannot start leaves nothing of its own behind', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  const dataDir = await temporaryFolder(t);
  const store = { ...passing(openTestDoor(t, database)), register: () => Promise.reject(new Error('no such table')) };
  await t.rejects(openTestMeter(t, database, { dataDir, store }), /no such table/);
  t.same(readdirSync(dataDir), []);
});

interface Legacy {
  readonly reserved: number;
  /** Ids of charges of 5 credits each; `bad` is one that no database takes. */
  readonly charges: readonly string[];
  /** Which of them the store has acknowledged. */
  readonly posted: readonly string[];
  /** The store has forgotten them again. */
  readonly isLost?: boolean;
  /** It died before it heard of the acknowledgement. */
  readonly isUnheard?: boolean;
}

/** User `u` with 100 credits, and the folder of a process that died: its lock is gone, its files are there. */
async function dieWith(t: Test, database: Database, legacy: Legacy) {
  const { reserved, charges, posted, isLost = false, isUnheard = false } = legacy;
  await addUser(database, 'u', 100);
  const dataDir = await temporaryFolder(t);
  const instance = await addInstance(database);
  const folder = makeInstanceFolder(dataDir);
  const owner = { inMemory: () => [], unwritten: () => t.fail('the disk is in order') };
  const log = pino({ level: 'silent' });
  const journal = new Journal({ folder: folder.path, instance, fsync: 'never', clock: systemClock, log }, owner);
  const made = charges.map((id) => journal.append(badOr(chargeOf(id, 'u', 5)), '', false));
  const isPosted = (id: string) => posted.includes(id);
  const lease = { user: 'u', key: '', keep: reserved, need: 0, want: 0, emptied: false };
  await openTestDoor(t, database).exchange(
    {
      instance,
      seq: 5,
      charges: isLost ? [] : made.map(({ charge }) => charge).filter(({ id }) => isPosted(id)),
      leases: [lease],
      tallies: [],
    },
    'wait',
  );
  const heard = isUnheard ? [] : made.filter(({ charge }) => isPosted(charge.id));
  journal.acknowledge(heard.map(({ n }) => n));
  await new Promise<void>((resolve) => systemClock.atTurnEnd(resolve));
  const file = join(folder.path, 'journal-000001.jsonl');
  folder.release();
  return { dataDir, instance, folder: folder.path, file };
}

/** The status has no place in its column. */
function badOr(charge: Charge): Charge {
  return charge.id === 'bad' ? { ...charge, status: 2 ** 70 } : charge;
}

/** The line of a charge as it was written before endings were noted. */
function withoutEnding(line: string): string {
  const record = decodeLine(line);
  if (record === null || !('charge' in record)) throw new Error(`no charge: ${line}`);
  const { ended: _, ...charge } = record.charge;
  return encodeEntry(entryOf(charge)).trimEnd();
}

/** Until nobody but the living has a folder. */
async function untilAdopted(dataDir: string): Promise<void> {
  await until(
    () => readdirSync(dataDir).filter((name) => name.startsWith('instance-')).length,
    (folders) => folders <= 1,
  );
}

async function chargedIds({ db }: Database): Promise<string[]> {
  const rows = await db.selectFrom('ledger').select('id').where('kind', '=', 'charge').execute();
  return rows.map(({ id }) => (id.length > 5 ? 'the call' : id)).sort();
}

async function balanceOf({ db }: Database): Promise<number | undefined> {
  return (await db.selectFrom('users').select('credits').where('id', '=', 'u').executeTakeFirst())?.credits;
}

async function livingInstances({ db }: Database) {
  const rows = await db.selectFrom('instances').selectAll().execute();
  return rows.filter(({ fenced }) => !fenced);
}
