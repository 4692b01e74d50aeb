// Edits made by hand while gateways sell: limits of keys, rows that somebody keeps locked, and instances that are gone.

import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { withClient } from '../helpers/copy.ts';
import { type Dialect, dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { addKey, addUser, auditOf, callerOf, callOnce, openTestMeter, tryHold } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: the limit of a key that is changed by hand counts on every warm instance`, async (t) => {
    const { test, first, second } = await twoMeters(t, dialect);
    await addKey(test.database, 'k', 'u', 1_000);
    const caller = callerOf('u', 'k', true);
    const sellOnBoth = async () => {
      for (const meter of [first, second]) t.equal(await callOnce(meter, caller, 1), null);
    };
    await sellOnBoth();
    await until(
      () => Math.min(first.state().leasedCredits, second.state().leasedCredits),
      (leased) => leased >= 10,
    );
    await sql`UPDATE api_keys SET limit_credits = 2 WHERE id = 'k'`.execute(test.database.db);
    await until(
      () => first.state().leasedCredits + second.state().leasedCredits,
      (leased) => leased === 0,
    );
    for (const meter of [first, second]) t.equal(await callOnce(meter, caller, 1), 'TG_KEY_LIMIT_REACHED');
    await sql`UPDATE api_keys SET limit_credits = 4 WHERE id = 'k'`.execute(test.database.db);
    for (const meter of [first, second]) {
      await until(
        () => callOnce(meter, caller, 1),
        (code) => code === null,
      );
    }
    await until(
      () => test.database.db.selectFrom('api_keys').select('spent').executeTakeFirstOrThrow(),
      ({ spent }) => spent === 4,
    );
    t.equal(await callOnce(first, caller, 1), 'TG_KEY_LIMIT_REACHED');
    await sql`UPDATE api_keys SET spent = 0 WHERE id = 'k'`.execute(test.database.db);
    await until(
      () => callOnce(second, caller, 1),
      (code) => code === null,
    );
    await until(
      () => first.state().leasedCredits + second.state().leasedCredits,
      (leased) => leased > 0,
    );
    await sql`UPDATE api_keys SET spent = 4 WHERE id = 'k'`.execute(test.database.db);
    await until(
      () => first.state().leasedCredits + second.state().leasedCredits,
      (leased) => leased === 0,
    );
  });

  t.test(`${dialect}: what a gateway spends with a key is not taken for an edit`, async (t) => {
    const { test, first } = await twoMeters(t, dialect);
    await addKey(test.database, 'k', 'u', 1_000);
    const { db } = test.database;
    await sql`CREATE TABLE asked (n ${sql.raw('integer')})`.execute(db);
    await noteAskedLeases(dialect, (text) => sql.raw(text).execute(db));
    for (let i = 1; i <= 3; i++) {
      t.equal(await callOnce(first, callerOf('u', 'k', true), 1), null);
      await until(
        () => db.selectFrom('api_keys').select('spent').executeTakeFirstOrThrow(),
        ({ spent }) => spent === i,
      );
    }
    t.same((await sql`SELECT * FROM asked`.execute(db)).rows, []);
  });

  t.test(`${dialect}: an instance whose row and leases are gone goes on as a new one`, async (t) => {
    const { test, first, second } = await twoMeters(t, dialect);
    for (const meter of [first, second]) t.equal(await callOnce(meter, callerOf('u'), 1), null);
    const held = await tryHold(first, callerOf('u'), 1);
    if (typeof held === 'string') throw new Error(held);
    const { db } = test.database;
    await db.deleteFrom('instances').execute();
    await db.deleteFrom('leases').execute();
    first.settle(held, 200, 'delivered');
    for (const meter of [first, second]) t.equal(await callOnce(meter, callerOf('u'), 1), null);
    await Promise.all([first.close(), second.close()]);
    t.equal((await db.selectFrom('users').select('credits').executeTakeFirstOrThrow()).credits, 9_995);
    t.same(await auditOf(db), { users: 1, differences: [] });
  });
}

t.test('postgres: a sync of 200 users passes over the one whose row somebody keeps locked', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  const ids = Array.from({ length: 200 }, (_, i) => `u${i}`);
  await test.database.db
    .insertInto('users')
    .values(ids.map((id) => ({ id, name: id, credits: 1_000 })))
    .execute();
  const { meter } = await openTestMeter(t, openAgain(t, test));
  const locked = 'u77';
  const free = ids.filter((id) => id !== locked);
  let waiting: Promise<unknown> | undefined;
  await withClient(test, async (client) => {
    await client.query('BEGIN');
    await client.query(`UPDATE users SET credits = 500 WHERE id = '${locked}'`);
    let longestMs = 0;
    const call = async (id: string, cost: number) => {
      const startMs = performance.now();
      const code = await callOnce(meter, callerOf(id), cost);
      longestMs = Math.max(longestMs, performance.now() - startMs);
      return code;
    };
    waiting = callOnce(meter, callerOf(locked), 1);
    const codes = await Promise.all(free.map((id) => call(id, 1)));
    t.ok(codes.every((code) => code === null));
    const more = await Promise.all(free.map((id) => call(id, 300)));
    t.ok(
      more.every((code) => code === null),
      'again, past what was leased',
    );
    t.comment(`longest wait of the other 199: ${Math.round(longestMs)} ms`);
    await until(
      () => meter.state().unsentCharges,
      (unsent) => unsent === 0,
    );
    await client.query('COMMIT');
  });
  t.equal(await waiting, null, 'and this one when it is free');
  await meter.close();
  t.same(await auditOf(test.database.db), { users: 200, differences: [] });
});

t.test('postgres: a key that somebody keeps locked holds up its user alone', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  for (const user of ['u', 'v']) await addUser(test.database, user, 100);
  await addKey(test.database, 'k', 'u', null);
  await addKey(test.database, 'l', 'u', 50);
  const { meter } = await openTestMeter(t, openAgain(t, test));
  for (const edit of [`name = 'other' WHERE id = 'k'`, `limit_credits = 40 WHERE id = 'l'`]) {
    await withClient(test, async (client) => {
      t.equal(await callOnce(meter, callerOf('u', 'k'), 1), null, 'while it is free');
      await client.query('BEGIN');
      await client.query(`UPDATE api_keys SET ${edit}`);
      const waiting = callOnce(meter, callerOf('u', 'k'), 40);
      for (let i = 0; i < 5; i++) t.equal(await callOnce(meter, callerOf('v'), 10), null);
      t.ok(meter.state().isStoreUp);
      await client.query('COMMIT');
      t.equal(await waiting, null);
    });
    await until(
      () => meter.state().unsentCharges,
      (unsent) => unsent === 0,
    );
    await sql`UPDATE users SET credits = 100`.execute(test.database.db);
  }
});

t.test('postgres: a meter closes while somebody keeps its lease locked', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await addUser(test.database, 'u', 100);
  const { meter } = await openTestMeter(t, openAgain(t, test));
  t.equal(await callOnce(meter, callerOf('u'), 1), null);
  await until(
    () => meter.state(),
    ({ unsentCharges, leasedCredits }) => unsentCharges === 0 && leasedCredits > 0,
  );
  await withClient(test, async (client) => {
    await client.query('BEGIN');
    await client.query('UPDATE users SET credits = 50');
    t.equal(await meter.close(), 0);
    const { rows } = await sql<{ fenced: boolean }>`SELECT fenced FROM instances`.execute(test.database.db);
    t.same(rows, [{ fenced: true }]);
    await client.query('COMMIT');
  });
  const { meter: next } = await openTestMeter(t, openAgain(t, test));
  t.type(await tryHold(next, callerOf('u'), 50), 'object', 'what it had leased is for sale');
  const { rows } = await sql`SELECT instance FROM leases`.execute(test.database.db);
  t.equal(rows.length, 1, 'and its row is cleared away');
});

async function twoMeters(t: Test, dialect: Dialect) {
  const test = await migratedDatabase(t, dialect);
  await addUser(test.database, 'u', 10_000);
  const { meter: first } = await openTestMeter(t, openAgain(t, test));
  const { meter: second } = await openTestMeter(t, openAgain(t, test));
  return { test, first, second };
}

/** A row in `asked` for each lease that is asked for. */
async function noteAskedLeases(dialect: Dialect, run: (text: string) => Promise<unknown>): Promise<void> {
  if (dialect === 'sqlite') {
    await run(`CREATE TRIGGER noted AFTER UPDATE ON leases WHEN NEW.recall = 'asked'
      BEGIN INSERT INTO asked VALUES (1); END`);
    return;
  }
  await run(`CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS
    $$ BEGIN INSERT INTO asked VALUES (1); RETURN NULL; END $$`);
  await run(`CREATE TRIGGER noted AFTER UPDATE ON leases FOR EACH ROW WHEN (NEW.recall = 'asked')
    EXECUTE FUNCTION noted()`);
}
