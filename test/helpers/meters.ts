// Meters over real databases for tests, with what they told their observer kept for the test to read.

import pino from 'pino';
import type { Test } from 'tap';
import { v7 as uuidv7 } from 'uuid';
import type { ErrorCode } from '../../src/errors.ts';
import type { Files } from '../../src/journal/files.ts';
import type { Caller, Hold, Meter, MeterObserver } from '../../src/meter/meter.ts';
import { type MeterOptions, openMeter } from '../../src/meter/open-meter.ts';
import type { Database, Db, Tables } from '../../src/store/database.ts';
import { auditBalances, type Difference } from '../../src/store/history.ts';
import { registerInstance } from '../../src/store/instances.ts';
import { openStoreDoor, type StoreDoor } from '../../src/store/sync/door.ts';
import type { Change, Charge } from '../../src/store/sync/exchange.ts';
import { recountUsage } from '../../src/store/usage-audit.ts';
import { temporaryFolder } from './databases.ts';

export interface Observed {
  readonly charges: Charge[];
  readonly refusals: ErrorCode[];
  readonly changes: Change[];
  overdraft: number;
  setAside: number;
  admittedWhileDown: number;
}

export interface TestMeter {
  readonly meter: Meter;
  readonly observed: Observed;
}

/** What a test wants otherwise than usual. */
export interface MeterTerms extends Partial<Pick<MeterOptions, 'clock' | 'outage'>> {
  /** A folder of its own by default. */
  readonly dataDir?: string;
  readonly files?: Files;
  /** The real door by default. */
  readonly store?: StoreDoor;
}

/** Opens a meter as a new instance; it is closed at the end of the test unless the test has closed it. */
export async function openTestMeter(t: Test, database: Database, terms: MeterTerms = {}): Promise<TestMeter> {
  const { dataDir = await temporaryFolder(t), store = openTestDoor(t, database), files, ...others } = terms;
  const observed: Observed = {
    charges: [],
    refusals: [],
    changes: [],
    overdraft: 0,
    setAside: 0,
    admittedWhileDown: 0,
  };
  const observer: MeterObserver = {
    charged: (charge) => observed.charges.push(charge),
    refused: (_caller, _call, code) => observed.refusals.push(code),
    changed: (changes) => observed.changes.push(...changes),
    overdrawn: (credits) => {
      observed.overdraft += credits;
    },
    setAside: () => {
      observed.setAside += 1;
    },
    admittedWhileDown: () => {
      observed.admittedWhileDown += 1;
    },
    synced: () => {},
    silent: () => {},
  };
  const journal = { dataDir, fsync: 'interval' as const, ...(files !== undefined && { files }) };
  const meter = await openMeter({ store, journal, log: pino({ level: 'silent' }), observer, ...others });
  t.teardown(() => meter.close());
  return { meter, observed };
}

/** A door that is closed at the end of the test. */
export function openTestDoor(t: Test, database: Database): StoreDoor {
  const door = openStoreDoor(database);
  t.teardown(() => door.close());
  return door;
}

/** A door through which nothing is exchanged while `isDown` says so. */
export function openBarredDoor(t: Test, database: Database, isDown: () => boolean): StoreDoor {
  const door = openTestDoor(t, database);
  return {
    ...passing(door),
    exchange: async (message, locks) => {
      if (isDown()) throw new Error('the store is down');
      return door.exchange(message, locks);
    },
  };
}

/** A door that does what another does, for tests that change a part of it. */
export function passing(door: StoreDoor): StoreDoor {
  return {
    register: (instance) => door.register(instance),
    seqOf: (instance) => door.seqOf(instance),
    fence: (instance, seq) => door.fence(instance, seq),
    exchange: (message, locks) => door.exchange(message, locks),
    close: () => door.close(),
  };
}

export function callerOf(userId: string, keyId: string | null = null, hasKeyLimit = false): Caller {
  return { userId, keyId, hasKeyLimit };
}

export async function addUser(database: Database, id: string, credits: number): Promise<void> {
  await database.db.insertInto('users').values({ id, name: id, credits }).execute();
}

export async function addKey(database: Database, id: string, user: string, limit: number | null): Promise<void> {
  const key = { id, user_id: user, name: id, hash: `hash of ${id}`, hint: 'tg_', limit_credits: limit };
  await database.db.insertInto('api_keys').values(key).execute();
}

/** A charge as a meter makes it. */
export function chargeOf(id: string, user: string, cost: number): Charge {
  const at = '2026-01-02T03:04:05.678Z';
  return { id, user, key: null, cost, route: 'r', status: 200, ended: 'delivered', requestId: 'q', at };
}

/** One call from hold to settle; returns null or the code of the refusal. */
export async function callOnce(meter: Meter, caller: Caller, cost: number): Promise<ErrorCode | null> {
  const hold = await tryHold(meter, caller, cost);
  if (typeof hold === 'string') return hold;
  meter.settle(hold, 200, 'delivered');
  return null;
}

/** A hold, or the code of the refusal. */
export async function tryHold(meter: Meter, caller: Caller, cost: number): Promise<Hold | ErrorCode> {
  try {
    return await meter.hold(caller, { cost, route: 'r', requestId: 'q' });
  } catch (error) {
    return (error as { code: ErrorCode }).code;
  }
}

/** Enters an instance that this test plays itself, and returns its id. */
export async function addInstance({ db }: Database): Promise<string> {
  const id = uuidv7();
  await registerInstance(db, id);
  return id;
}

/** What the audit finds. */
export async function auditOf(db: Db): Promise<{ users: number; differences: Difference[] }> {
  const total = { users: 0, differences: [] as Difference[] };
  for await (const batch of auditBalances(db)) {
    total.users += batch.users;
    total.differences.push(...batch.differences);
  }
  return total;
}

/** Calls of which only the hours are known, with the totals that belong to them. */
export async function addUsage(db: Db, hours: readonly Tables['usage_hourly'][]): Promise<void> {
  await db.insertInto('usage_hourly').values(hours).execute();
  for (const day of new Set(hours.map(({ hour }) => hour.slice(0, 10)))) await recountUsage(db, day);
}
