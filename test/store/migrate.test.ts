import { sql } from 'kysely';
import t, { type Test } from 'tap';
import type { Db } from '../../src/store/database.ts';
import { migrateDown, migrateUp, migrationStatus, tablesThatDownDrops } from '../../src/store/migrate.ts';
import { dialects, emptyDatabase, everyMigration, migratedDatabase, openAgain } from '../helpers/databases.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: up, down, up with data leaves working tables`, async (t) => {
    const { database } = await emptyDatabase(t, dialect);
    t.same(await migrateUp(database), everyMigration);
    await addUser(database.db, 'ada');
    t.ok((await migrationStatus(database)).every((migration) => migration.appliedAt !== null));
    t.same(await migrateDown(database), ['0009_endings'], 'down takes one step');
    t.same(await migrateDown(database), ['0008_rollups']);
    t.same(await migrateDown(database), ['0007_claims']);
    t.same(await migrateDown(database), ['0006_asked_leases']);
    t.same(await migrateDown(database), ['0005_audit']);
    t.same(await migrateDown(database), ['0004_by_hand']);
    t.same(await migrateDown(database), ['0003_sessions']);
    t.same(await migrateDown(database), ['0002_identities']);
    t.ok((await tablesThatDownDrops(database)).includes('ledger'));
    t.same(await migrateDown(database), ['0001_the_books']);
    t.ok((await migrationStatus(database)).every((migration) => migration.appliedAt === null));
    t.same(await migrateUp(database), everyMigration);
    t.same(await database.db.selectFrom('users').selectAll().execute(), []);
    await addUser(database.db, 'ada');
    t.equal((await database.db.selectFrom('ledger').selectAll().execute()).length, 1);
  });

  t.test(
    `${dialect}: the ledger is kept, and refuses to be changed, where a column of it comes and goes`,
    async (t) => {
      const { database } = await migratedDatabase(t, dialect);
      const { db } = database;
      await addUser(db, 'ada');
      const entry = { id: 'c', kind: 'charge', amount: -1, ended: 'delivered' } as const;
      const [{ user_id } = { user_id: '' }] = await db.selectFrom('ledger').select('user_id').execute();
      await db
        .insertInto('ledger')
        .values({ ...entry, user_id })
        .execute();
      const before = await db.selectFrom('ledger').selectAll().orderBy('id').execute();
      t.same(await migrateDown(database), ['0009_endings']);
      await refusesChanges(t, db);
      t.same(await migrateUp(database), ['0009_endings']);
      await refusesChanges(t, db);
      const after = await db.selectFrom('ledger').selectAll().orderBy('id').execute();
      t.same(
        after,
        before.map((row) => ({ ...row, ended: null })),
      );
    },
  );

  t.test(`${dialect}: a second up changes nothing`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    t.same(await migrateUp(database), []);
  });

  t.test(`${dialect}: eight instances that start at once migrate once`, async (t) => {
    const test = await emptyDatabase(t, dialect);
    const others = Array.from({ length: 7 }, () => openAgain(t, test));
    const applied = await Promise.all([test.database, ...others].map(migrateUp));
    t.same(applied.flat(), everyMigration);
  });

  t.test(`${dialect}: a users table of another program is refused with the remedy, and left as it is`, async (t) => {
    const { database } = await emptyDatabase(t, dialect);
    await sql`CREATE TABLE users (login text)`.execute(database.db);
    await sql`INSERT INTO users VALUES ('theirs')`.execute(database.db);
    await t.rejects(migrateUp(database), { name: 'MigrationError', message: /database\.schema.*database\.url/ });
    const { rows } = await sql`SELECT * FROM users`.execute(database.db);
    t.same(rows, [{ login: 'theirs' }]);
  });
}

async function refusesChanges(t: Test, db: Db): Promise<void> {
  await t.rejects(sql`UPDATE ledger SET amount = 7`.execute(db), /never changed or deleted/);
  await t.rejects(sql`DELETE FROM ledger`.execute(db), /never changed or deleted/);
  const { rows } = await sql`SELECT count(*) AS entries FROM ledger`.execute(db);
  t.match(rows, [{ entries: 2 }]);
}

async function addUser(db: Db, name: string): Promise<void> {
  await db.insertInto('users').values({ name }).execute();
}
