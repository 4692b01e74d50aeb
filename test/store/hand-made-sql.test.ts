import { type RawBuilder, sql } from 'kysely';
import t from 'tap';
import { type Db, isPostgres, type Recall } from '../../src/store/database.ts';
import { copyIn, withClient } from '../helpers/copy.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { auditOf } from '../helpers/meters.ts';

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
      { name: 'B', credits: 100, posted: 2 },
    ]);
    await run(database.db, sql`UPDATE users SET name = 'C', credits = 100, posted = 1 WHERE id = 'u1'`);
    t.same(await database.db.selectFrom('users').select(['name', 'posted']).execute(), [{ name: 'C', posted: 2 }]);
    t.equal((await entriesOf(database.db, 'u1')).length, 2);
  });

  t.test(`${dialect}: an upsert of whole rows books who is new and what has changed`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`);
    await run(
      database.db,
      sql`INSERT INTO users (id, name, credits, posted) VALUES ('u1', 'B', 25, 0), ('u2', 'C', 7, 0)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, credits = excluded.credits, posted = excluded.posted`,
    );
    await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'D', 90) ON CONFLICT DO NOTHING`);
    t.match(await entriesOf(database.db, 'u1'), [
      { kind: 'signup', amount: 10 },
      { kind: 'adjustment', amount: 15 },
    ]);
    t.match(await entriesOf(database.db, 'u2'), [{ kind: 'signup', amount: 7 }]);
    t.same(await database.db.selectFrom('users').select(['name', 'credits', 'posted']).orderBy('id').execute(), [
      { name: 'B', credits: 25, posted: 1 },
      { name: 'C', credits: 7, posted: 1 },
    ]);
  });

  t.test(`${dialect}: an update from another table is booked row by row`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 1), ('u2', 'B', 2)`);
    await run(
      database.db,
      sql`UPDATE users SET credits = v.credits FROM
      (SELECT 'u1' AS id, 11 AS credits UNION ALL SELECT 'u2', 22) AS v WHERE users.id = v.id`,
    );
    t.match((await entriesOf(database.db, 'u1')).at(-1), { kind: 'adjustment', amount: 10 });
    t.match((await entriesOf(database.db, 'u2')).at(-1), { kind: 'adjustment', amount: 20 });
  });

  t.test(`${dialect}: the ledger refuses to be changed by hand`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await run(database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`);
    const [entry] = await entriesOf(database.db, 'u1');
    await t.rejects(run(database.db, sql`UPDATE ledger SET amount = 11`), /never changed or deleted/);
    await t.rejects(run(database.db, sql`DELETE FROM ledger WHERE user_id = 'u1'`), /never changed or deleted/);
    t.same(await entriesOf(database.db, 'u1'), [entry]);
  });

  t.test(`${dialect}: 100,000 rows edited by one statement leave the books balanced`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addManyUsers(database.db, 100_000);
    await run(database.db, sql`UPDATE users SET credits = credits + 5`);
    t.same(await auditOf(database.db), { users: 100_000, differences: [] });
    const { rows } = await sql`SELECT count(*) AS n, sum(amount) AS sum FROM ledger`.execute(database.db);
    t.match(rows, [{ n: 200_000, sum: 100_000 * 105 }]);
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

t.test('sqlite: REPLACE of a user is booked like an update, whole rows with their counters too', async (t) => {
  const { database } = await migratedDatabase(t, 'sqlite');
  const { db } = database;
  await run(
    db,
    sql`INSERT INTO users (id, name, credits, email) VALUES ('u1', 'A', 10, 'a@b.example'), ('u2', 'B', 0, NULL)`,
  );
  await run(db, sql`UPDATE users SET credits = credits - 3, posted = posted + 1 WHERE id = 'u1'`);
  await run(db, sql`INSERT INTO ledger (id, user_id, kind, amount) VALUES ('c', 'u1', 'charge', -3)`);
  await db.insertInto('leases').values({ user_id: 'u1', key_id: '', instance: 'i', amount: 5, recall: '' }).execute();
  await run(db, sql`REPLACE INTO users (id, name, credits) VALUES ('u1', 'A', 25)`);
  await run(
    db,
    sql`INSERT OR REPLACE INTO users (id, name, credits, posted) VALUES ('u1', 'A', 10, 1), ('u2', 'B', 4, 1)`,
  );
  t.match(
    (await entriesOf(db, 'u1')).filter(({ kind }) => kind === 'adjustment').map(({ amount }) => amount),
    [18, -15],
  );
  t.match(await entriesOf(db, 'u2'), [{ kind: 'adjustment', amount: 4 }]);
  t.same(await auditOf(db), { users: 2, differences: [] });
  t.match(await db.selectFrom('users').select(['id', 'posted']).orderBy('id').execute(), [
    { posted: 2 },
    { posted: 1 },
  ]);
  t.match(await db.selectFrom('leases').selectAll().execute(), [{ recall: 'asked' }]);
  t.match(await db.selectFrom('changes').select('ref').execute(), [{ ref: 'u1' }, { ref: 'u1' }, { ref: 'u2' }]);
});

t.test('sqlite: REPLACE never takes a user away whose address is in the way', async (t) => {
  const { db } = (await migratedDatabase(t, 'sqlite')).database;
  await run(db, sql`INSERT INTO users (id, name, email) VALUES ('u1', 'A', 'a@b.example'), ('u2', 'B', 'b@b.example')`);
  const before = await db.selectFrom('users').selectAll().execute();
  await t.rejects(run(db, sql`REPLACE INTO users (name, email) VALUES ('C', 'A@B.example')`), /use UPDATE/);
  await t.rejects(run(db, sql`UPDATE OR REPLACE users SET email = 'a@b.example' WHERE id = 'u2'`), /UNIQUE/);
  await run(db, sql`PRAGMA recursive_triggers = ON`);
  await t.rejects(run(db, sql`REPLACE INTO users (name, email) VALUES ('C', 'A@B.example')`), /history/);
  t.same(await db.selectFrom('users').selectAll().execute(), before);
  await run(db, sql`INSERT INTO users (name, email) VALUES ('C', 'a@b.example') ON CONFLICT DO NOTHING`);
  await run(db, sql`INSERT INTO users (name, email) VALUES ('D', 'd@b.example')`);
  t.same(await auditOf(db), { users: 3, differences: [] });
});

t.test('sqlite: REPLACE of a key, an identity or a ledger entry leaves nobody behind who does not know', async (t) => {
  const { db } = (await migratedDatabase(t, 'sqlite')).database;
  await run(db, sql`INSERT INTO users (id, name) VALUES ('u1', 'A'), ('u2', 'B')`);
  const key = (revoked: string | null) =>
    sql`REPLACE INTO api_keys (id, user_id, name, hash, hint, revoked_at) VALUES ('k', 'u1', '', 'h', 'tg_', ${revoked})`;
  await run(db, key(null));
  await run(db, key('2026-01-01T00:00:00.000Z'));
  await run(db, sql`REPLACE INTO identities (issuer, subject, user_id) VALUES ('i', 's', 'u1')`);
  await run(db, sql`REPLACE INTO identities (issuer, subject, user_id) VALUES ('i', 's', 'u2')`);
  t.same(await db.selectFrom('changes').select(['kind', 'ref']).orderBy('id').execute(), [
    { kind: 'key', ref: 'k' },
    { kind: 'user', ref: 'u1' },
  ]);
  const [entry] = await entriesOf(db, 'u1');
  const replace = sql`REPLACE INTO ledger (id, user_id, kind, amount) VALUES (${entry?.id}, 'u1', 'signup', 1)`;
  await t.rejects(run(db, replace), /never changed or deleted/);
});

t.test('postgres: MERGE books who is new and what has changed', async (t) => {
  const { db } = (await migratedDatabase(t, 'postgres')).database;
  const { rows } = await sql<{ server_version_num: string }>`SHOW server_version_num`.execute(db);
  if (Number(rows[0]?.server_version_num) < 150_000) return;
  await run(db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`);
  await run(
    db,
    sql`MERGE INTO users USING (VALUES ('u1', 30), ('u2', 7)) AS v (id, credits) ON users.id = v.id
    WHEN MATCHED THEN UPDATE SET credits = v.credits
    WHEN NOT MATCHED THEN INSERT (id, name, credits) VALUES (v.id, 'B', v.credits)`,
  );
  t.match((await entriesOf(db, 'u1')).at(-1), { kind: 'adjustment', amount: 20 });
  t.match(await entriesOf(db, 'u2'), [{ kind: 'signup', amount: 7 }]);
});

t.test('postgres: users that are copied in have a signup entry, and none of them can be truncated', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  const { db } = test.database;
  await withClient(test, (client) => copyIn(client, 'users (id, name, credits)', 'u1\tA\t10\nu2\tB\t20\n'));
  t.match(await entriesOf(db, 'u2'), [{ kind: 'signup', amount: 20 }]);
  await t.rejects(run(db, sql`TRUNCATE users CASCADE`), /cannot be truncated/);
  await t.rejects(run(db, sql`TRUNCATE ledger`), /never changed or deleted/);
  t.same(await auditOf(db), { users: 2, differences: [] });
});

t.test('postgres: an edit through another search_path is booked all the same', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  await run(test.database.db, sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`);
  const elsewhere = openAgain(t, { ...test, schema: 'public' });
  await run(elsewhere.db, sql`UPDATE ${sql.id(test.schema, 'users')} SET credits = 11`);
  t.match((await entriesOf(test.database.db, 'u1')).at(-1), { kind: 'adjustment', amount: 1 });
});

/** Users of 100 credits, entered as the gateway would. */
async function addManyUsers(db: Db, count: number): Promise<void> {
  const series = isPostgres(db)
    ? sql`generate_series(1, ${count}::integer) AS n (i)`
    : sql`(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i FROM n)`;
  await run(db, sql`INSERT INTO users (id, name, credits, posted) SELECT 'u' || i, 'A', 100, 1 FROM ${series}`);
  await run(db, sql`INSERT INTO ledger (id, user_id, kind, amount) SELECT id, id, 'signup', credits FROM users`);
}

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
