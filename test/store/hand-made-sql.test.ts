import { type RawBuilder, sql } from 'kysely';
import t from 'tap';
import type { Db, Recall } from '../../src/store/database.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: a hand-made update is booked as an adjustment of the difference`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, email, name, credits) VALUES ('u1', 'a@b.example', 'A', 10)`);
    await run(database.db, sql`UPDATE users SET credits = 5000 WHERE email = 'a@b.example'`);
    t.match(await entriesOf(database.db, 'u1'), [
      { kind: 'signup', amount: 10 },
      { kind: 'adjustment', amount: 4990 },
    ]);
  });

  t.test(`${dialect}: a hand-made edit asks for the leases of that user alone`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name) VALUES ('u1', 'A'), ('u2', 'B')`);
    const lease = { key_id: '', instance: 'i', amount: 5, recall: '' as Recall };
    const leases = [
      { user_id: 'u1', ...lease },
      { user_id: 'u2', ...lease },
    ];
    await database.db.insertInto('leases').values(leases).execute();
    await run(database.db, sql`UPDATE users SET credits = 1 WHERE id = 'u1'`);
    t.same(await database.db.selectFrom('leases').select(['user_id', 'recall']).orderBy('user_id').execute(), [
      { user_id: 'u1', recall: 'asked' },
      { user_id: 'u2', recall: '' },
    ]);
  });

  t.test(`${dialect}: a write that the gateway posts is left to the gateway to book`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`);
    await run(database.db, sql`UPDATE users SET credits = credits - 3, posted = posted + 1 WHERE id = 'u1'`);
    t.equal((await entriesOf(database.db, 'u1')).length, 1);
  });

  t.test(`${dialect}: an ORM that saves a whole stale row is booked, and the counter put back`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`);
    await run(database.db, sql`UPDATE users SET credits = 9, posted = posted + 1 WHERE id = 'u1'`);
    await run(database.db, sql`UPDATE users SET name = 'B', credits = 100, posted = 0 WHERE id = 'u1'`);
    t.match((await entriesOf(database.db, 'u1')).at(-1), { kind: 'adjustment', amount: 91 });
    t.same(await database.db.selectFrom('users').select(['name', 'credits', 'posted']).execute(), [
      { name: 'B', credits: 100, posted: 1 },
    ]);
  });

  t.test(
    `${dialect}: an edit of many rows books one entry each, an edit that changes nothing books none`,
    async (t) => {
      const { database } = await migratedDatabase(t, dialect);
      await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 1), ('u2', 'B', 2)`);
      await run(database.db, sql`UPDATE users SET credits = 2`);
      t.equal((await entriesOf(database.db, 'u1')).length, 2);
      t.equal((await entriesOf(database.db, 'u2')).length, 1);
    },
  );

  t.test(`${dialect}: an edit that is rolled back leaves no trace`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 1)`);
    await t.rejects(
      database.db.transaction().execute(async (trx) => {
        await run(trx, sql`UPDATE users SET credits = 900`);
        throw new Error('changed my mind');
      }),
    );
    t.equal((await entriesOf(database.db, 'u1')).length, 1);
  });

  t.test(`${dialect}: a user with history cannot be deleted, one without can, keys and all`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 1), ('u2', 'B', 0)`);
    const key = { id: 'k', user_id: 'u2', name: '', hash: 'h', hint: 'tg_' };
    await database.db.insertInto('api_keys').values(key).execute();
    await t.rejects(run(database.db, sql`DELETE FROM users WHERE id = 'u1'`), /history/);
    await run(database.db, sql`DELETE FROM users WHERE id = 'u2'`);
    t.same(await database.db.selectFrom('users').select('id').execute(), [{ id: 'u1' }]);
    t.same(await database.db.selectFrom('api_keys').select('id').execute(), []);
  });

  t.test(`${dialect}: an inserted user needs no id and gets the default credits with a signup entry`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (name) VALUES ('A')`);
    const user = await database.db.selectFrom('users').selectAll().executeTakeFirstOrThrow();
    t.match(user, { id: /^c[0-9a-f]{23}$/, plan: 'Basic', credits: 5000, created_at: /^\d{4}-.*T.*\.\d{3}Z$/ });
    const [entry] = await entriesOf(database.db, user.id);
    t.match(entry, { kind: 'signup', amount: 5000, actor: /^sql/ });
    t.match(entry?.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const ageMs = Date.now() - Number.parseInt((entry?.id ?? '').replace('-', '').slice(0, 12), 16);
    t.ok(Math.abs(ageMs) < 60_000, 'the id begins with the time');
  });

  t.test(`${dialect}: what changes an identity is noted for every instance`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name) VALUES ('u1', 'A')`);
    await run(
      database.db,
      sql`INSERT INTO api_keys (id, user_id, name, hash, hint) VALUES ('k1', 'u1', '', 'h', 'tg_')`,
    );
    await run(database.db, sql`UPDATE users SET blocked_at = created_at`);
    await run(database.db, sql`UPDATE api_keys SET revoked_at = created_at`);
    await run(database.db, sql`UPDATE api_keys SET spent = spent + 1`);
    await run(database.db, sql`DELETE FROM api_keys`);
    t.same(await database.db.selectFrom('changes').select(['kind', 'ref']).orderBy('id').execute(), [
      { kind: 'user', ref: 'u1' },
      { kind: 'key', ref: 'k1' },
      { kind: 'key', ref: 'k1' },
    ]);
  });

  t.test(`${dialect}: a balance beyond what can be counted exactly is refused`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name) VALUES ('u1', 'A')`);
    await t.rejects(run(database.db, sql`UPDATE users SET credits = 9007199254740992`), /constraint|violates/i);
  });
}

t.test('sqlite: REPLACE of a user books the difference to the history that is there', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`);
  await run(database.db, sql`REPLACE INTO users (id, name, credits) VALUES ('u1', 'A', 25)`);
  t.match(await entriesOf(database.db, 'u1'), [
    { kind: 'signup', amount: 10 },
    { kind: 'adjustment', amount: 15 },
  ]);
});

t.test('postgres: an edit through another search_path is booked all the same', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await run(test.database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`);
  const elsewhere = openAgain(t, { ...test, schema: 'public' });
  await run(elsewhere.db, sql`UPDATE ${sql.id(test.schema, 'users')} SET credits = 11`);
  t.match((await entriesOf(test.database.db, 'u1')).at(-1), { kind: 'adjustment', amount: 1 });
});

function run(db: Db, statement: RawBuilder<unknown>): Promise<unknown> {
  return statement.execute(db);
}

function entriesOf(db: Db, userId: string) {
  return db
    .selectFrom('ledger')
    .selectAll()
    .where('user_id', '=', userId)
    .orderBy('kind', 'desc')
    .orderBy('id')
    .execute();
}
