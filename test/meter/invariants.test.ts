// The invariants of ARCHITECTURE.md while three meters sell the same few credits, and people change them meanwhile. Users
// run out again and again. INVARIANTS_SEED repeats what is drawn.

import { setImmediate } from 'node:timers/promises';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { type Files, systemFiles } from '../../src/journal/files.ts';
import type { Hold, Meter } from '../../src/meter/meter.ts';
import { deductUserCredits, grantCredits } from '../../src/store/credits.ts';
import { type Db, transact } from '../../src/store/database.ts';
import type { StoreDoor } from '../../src/store/sync/door.ts';
import { dialects, migratedDatabase, type TestDatabase } from '../helpers/databases.ts';
import { addKey, addUser, callerOf, openTestDoor, openTestMeter, passing, tryHold } from '../helpers/meters.ts';
import { type Random, randomFrom } from '../helpers/random.ts';
import { until } from '../helpers/until.ts';
import { openWatchedMeters, readStandings, type Watched } from './watched-meters.ts';

const seed = Number(process.env['INVARIANTS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const callersCount = 12;
const callsEach = 40;
const costMax = 7;
const users = ['a', 'b', 'c'];
const call = { cost: 1, route: 'r', requestId: 'q' };
/** Of user `c`; more than it has at first. */
const keyLimit = 150;
const startingCredits = 120;

/** What people do to credits while they are being sold. */
type Deed = (db: Db, random: Random) => Promise<unknown>;

const by = { actor: 'test' };
const raise: Deed = async (db, random) => {
  const [user, amount] = [random.of(users), 1 + random.below(60)];
  if (random.percent(50)) return transact(db, (trx) => grantCredits(trx, user, amount, by));
  return sql`UPDATE users SET credits = credits + ${amount} WHERE id = ${user}`.execute(db);
};
const raiseOrDeduct: Deed = async (db, random) => {
  if (random.percent(70)) return raise(db, random);
  // It takes what is there and not reserved, or nothing.
  return deductUserCredits(db, random.of(users), 1 + random.below(20), by).catch(() => {});
};
const setByHand: Deed = (db, random) =>
  sql`UPDATE users SET credits = ${random.below(150)} WHERE id = ${random.of(users)}`.execute(db);

for (const dialect of dialects) {
  t.test(`${dialect}: at every commit each balance is the sum of its ledger, edits by hand included`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { standings } = await sellAll(t, test, (db, random) => (random.percent(50) ? raise : setByHand)(db, random));
    t.same(
      standings.filter(({ left, ledger }) => ledger !== null && left !== ledger),
      [],
    );
  });

  t.test(
    `${dialect}: at every commit live leases are no more than the credits, nor those of a key more than its limit leaves`,
    async (t) => {
      const test = await migratedDatabase(t, dialect);
      const { standings } = await sellAll(t, test, raiseOrDeduct);
      t.same(
        standings.filter(({ left, reserved }) => reserved > left),
        [],
      );
      t.ok(
        standings.some(({ left, reserved }) => reserved > left / 2),
        'much was reserved',
      );
    },
  );

  t.test(`${dialect}: no instance uses more than the store has reserved for it`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { uses } = await sellAll(t, test, raiseOrDeduct);
    t.same(
      uses.filter(({ amount, row }) => amount > row),
      [],
    );
    t.ok(uses.filter(({ amount }) => amount > 0).length > 20, 'leases were in use');
  });

  t.test(
    `${dialect}: a call that its lease covers is admitted at once, with nothing asked of the store and nothing written`,
    async (t) => {
      const { database } = await migratedDatabase(t, dialect);
      await addUser(database, 'u', 1_000);
      const did: string[] = [];
      const door = openTestDoor(t, database);
      const store: StoreDoor = {
        ...passing(door),
        exchange: (message, locks) => {
          did.push('exchange');
          return door.exchange(message, locks);
        },
      };
      const { meter } = await openTestMeter(t, database, { store, files: noting(did) });
      meter.settle(await meter.hold(callerOf('u'), call), 200, 'delivered');
      await until(
        () => meter.state().unsentCharges,
        (unsent) => unsent === 0,
      );
      t.ok(did.includes('exchange') && did.includes('write'), 'what is done is seen');
      did.length = 0;
      const hold = meter.hold(callerOf('u'), call);
      t.notOk(hold instanceof Promise, 'it has not waited for anything');
      t.same(did, []);
      meter.release(hold as Hold);
    },
  );

  t.test(`${dialect}: a hold that has ended cannot end again, and moves nothing`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 10);
    const { meter } = await openTestMeter(t, database);
    const [sold, released] = [await tryHold(meter, callerOf('u'), 3), await tryHold(meter, callerOf('u'), 4)];
    meter.settle(sold as Hold, 200, 'delivered');
    meter.release(released as Hold);
    for (const hold of [sold, released] as Hold[]) {
      t.throws(() => meter.settle(hold, 200, 'delivered'), { message: 'a hold ends exactly once' });
      t.throws(() => meter.release(hold), { message: 'a hold ends exactly once' });
    }
    await meter.close();
    t.match(await readStandings(database.db), [{ of: 'u', left: 7, ledger: 7, reserved: 0 }]);
  });
}

/** The system's files, with a note of what is done to them. */
function noting(did: string[]): Files {
  const noted = Object.entries(systemFiles).map(([step, work]) => [
    step,
    (...args: never[]) => {
      did.push(step);
      return (work as (...args: never[]) => unknown)(...args);
    },
  ]);
  return Object.fromEntries(noted);
}

/** Callers at three meters, and what people do, until every call is made; then the meters close. */
async function sellAll(t: Test, test: TestDatabase, deed: Deed): Promise<Watched> {
  t.comment(`INVARIANTS_SEED=${seed}`);
  const { database } = test;
  for (const user of users) await addUser(database, user, startingCredits);
  await addKey(database, 'k', 'c', keyLimit);
  const watched = await openWatchedMeters(t, test);
  const callers = Array.from({ length: callersCount }, (_, n) =>
    callInTurn(watched.meters, randomFrom(seed + n), (random) => deed(database.db, random)),
  );
  const counts = await Promise.all(callers);
  for (const meter of watched.meters) t.equal(await meter.close(), 0);
  t.ok(
    counts.some(({ sold }) => sold > 0) && counts.some(({ refused }) => refused > 0),
    'some were sold, some refused',
  );
  t.ok(watched.standings.length > 100, `the books were looked at ${watched.standings.length / 4} times`);
  watched.standings.push(...(await readStandings(database.db)));
  return watched;
}

/** One caller: two calls at a time, each at any meter, with any cost and end; and now and then a deed. */
async function callInTurn(meters: readonly Meter[], random: Random, deed: (random: Random) => Promise<unknown>) {
  const counts = { sold: 0, refused: 0 };
  const callOnce = async () => {
    const meter = random.of(meters);
    const user = random.of(users);
    const hasKey = user === 'c' && random.percent(60);
    const hold = await tryHold(meter, hasKey ? callerOf(user, 'k', true) : callerOf(user), 1 + random.below(costMax));
    if (typeof hold === 'string') {
      counts.refused += 1;
      return;
    }
    for (let turns = random.below(20); turns > 0; turns--) await setImmediate();
    if (random.percent(70)) meter.settle(hold, 200, 'delivered');
    else meter.release(hold);
    counts.sold += 1;
  };
  for (let calls = 0; calls < callsEach; calls += 2) {
    await Promise.all([callOnce(), callOnce()]);
    if (random.percent(40)) await deed(random);
  }
  return counts;
}
