import { setImmediate } from 'node:timers/promises';
import { sql } from 'kysely';
import t from 'tap';
import { backfillCredits, countBackfill } from '../../src/store/backfill.ts';
import type { Db } from '../../src/store/database.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { leaseOf } from '../helpers/users.ts';

const actor = 'cli:test';

for (const dialect of dialects) {
  t.test(
    `${dialect}: who has 0 or less is set, with one adjustment of the difference each; others are not`,
    async (t) => {
      const { db } = (await migratedDatabase(t, dialect)).database;
      await usersWith(db, [-3, 0, 1, 5000, 9000]);
      t.equal(await countBackfill(db, { credits: 5000, isAll: false }), 2);
      t.same(await backfillCredits(db, { credits: 5000, isAll: false, actor }), { users: 2, isStopped: false });
      t.same(await balancesOf(db), [5000, 5000, 1, 5000, 9000]);
      const entries = db.selectFrom('ledger').select(['user_id', 'amount']).where('actor', '=', actor);
      t.same(await entries.where('kind', '=', 'adjustment').orderBy('user_id').execute(), [
        { user_id: 'u0', amount: 5003 },
        { user_id: 'u1', amount: 5000 },
      ]);
    },
  );

  t.test(`${dialect}: with all, everyone is set, downwards too, and who has the amount is skipped`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    await usersWith(db, [-3, 0, 1, 5000, 9000]);
    t.same(await backfillCredits(db, { credits: 5000, isAll: true, actor }), { users: 4, isStopped: false });
    t.same(await balancesOf(db), [5000, 5000, 5000, 5000, 5000]);
    t.same(await backfillCredits(db, { credits: 5000, isAll: true, actor }), { users: 0, isStopped: false });
    t.same(await backfillCredits(db, { credits: 0, isAll: true, actor }), { users: 5, isStopped: false });
    t.same(await backfillCredits(db, { credits: 0, isAll: false, actor }), { users: 0, isStopped: false });
  });

  t.test(`${dialect}: it asks for the leases of whom it sets`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    await usersWith(db, [10, 0]);
    for (const user of ['u0', 'u1']) await leaseOf(db, user, 3);
    await backfillCredits(db, { credits: 50, isAll: false, actor });
    t.same(await db.selectFrom('leases').select(['user_id', 'recall']).orderBy('user_id').execute(), [
      { user_id: 'u0', recall: '' },
      { user_id: 'u1', recall: 'asked' },
    ]);
  });

  t.test(`${dialect}: it stops between two batches when told, and another run does the rest, once each`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    await usersWith(
      db,
      Array.from({ length: 4_500 }, () => 0),
    );
    const stop = new AbortController();
    const progress: number[] = [];
    const onProgress = (users: number) => {
      progress.push(users);
      stop.abort();
    };
    const backfill = { credits: 7, isAll: true, actor };
    t.same(await backfillCredits(db, { ...backfill, signal: stop.signal, onProgress }), {
      users: 2000,
      isStopped: true,
    });
    t.same(progress, [2_000]);
    t.same(await backfillCredits(db, backfill), { users: 2_500, isStopped: false });
    t.equal(await entryCount(db), 4_500);
    t.equal(await driftOf(db), 0);
  });

  t.test(`${dialect}: two runs beside a gateway that charges keep the books`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { db } = test.database;
    await usersWith(
      db,
      Array.from({ length: 3_000 }, () => 0),
    );
    const second = openAgain(t, test).db;
    const third = openAgain(t, test).db;
    const backfill = { credits: 100, isAll: true, actor };
    const isDone = new AbortController();
    const [runs, charges] = await Promise.all([
      Promise.all([backfillCredits(db, backfill), backfillCredits(second, backfill)]).finally(() => isDone.abort()),
      chargeUntil(third, isDone.signal),
    ]);
    t.ok(runs[0].users + runs[1].users >= 3_000);
    t.ok(charges > 0, `${charges} charges went between`);
    t.equal(await driftOf(db), 0);
  });
}

/** Users u0, u1, … with these balances, made by hand: the triggers write their signup entries. */
async function usersWith(db: Db, balances: readonly number[]): Promise<void> {
  const users = balances.map((credits, i) => ({ id: `u${i}`, name: 'U', credits }));
  for (let at = 0; at < users.length; at += 1_000) {
    await db
      .insertInto('users')
      .values(users.slice(at, at + 1_000))
      .execute();
  }
}

async function balancesOf(db: Db): Promise<number[]> {
  const rows = await db.selectFrom('users').select('credits').orderBy('id').execute();
  return rows.map(({ credits }) => credits);
}

async function entryCount(db: Db): Promise<number> {
  const rows = await db.selectFrom('ledger').select('id').where('actor', '=', actor).execute();
  return rows.length;
}

/** Users whose balance is not the sum of their entries. */
async function driftOf(db: Db): Promise<number> {
  const { rows } = await sql`SELECT id FROM users WHERE credits <>
    (SELECT coalesce(sum(amount), 0) FROM ledger WHERE user_id = users.id)`.execute(db);
  return rows.length;
}

/** Posts charges of 1 as the sync does, until told to stop; how many. */
async function chargeUntil(db: Db, signal: AbortSignal): Promise<number> {
  let charges = 0;
  while (!signal.aborted) {
    const user = `u${(charges * 7) % 3_000}`;
    await db.transaction().execute(async (trx) => {
      await sql`UPDATE users SET credits = credits - 1, posted = posted + 1 WHERE id = ${user}`.execute(trx);
      const entry = { id: `charge-${charges}`, user_id: user, kind: 'charge' as const, amount: -1 };
      await trx.insertInto('ledger').values(entry).execute();
    });
    charges++;
    // SQLite answers within the turn: without this nobody else would get one.
    await setImmediate();
  }
  return charges;
}
