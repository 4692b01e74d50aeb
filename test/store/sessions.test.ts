import t from 'tap';
import { transact } from '../../src/store/database.ts';
import { beginSession, clearEndedSessions } from '../../src/store/sessions.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { addUser } from '../helpers/meters.ts';

const hour = 60 * 60_000;

for (const dialect of dialects) {
  t.test(`${dialect}: a user has at most 50 sessions, however many begin at once`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    await addUser(test.database, 'u', 0);
    const dbs = [test.database.db, openAgain(t, test).db];
    const begun = Array.from({ length: 120 }, (_, i) =>
      transact(dbs[i % 2] ?? test.database.db, (trx) => beginSession(trx, sessionNamed(`${i}`, hour), null)),
    );
    await Promise.all(begun);
    t.equal((await test.database.db.selectFrom('sessions').select('hash').execute()).length, 50);
  });

  t.test(`${dialect}: several that clear away what has ended do not wait for each other`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { db } = test.database;
    await addUser(test.database, 'u', 0);
    await transact(db, (trx) => beginSession(trx, sessionNamed('good', hour), null));
    for (let i = 0; i < 20; i++) await transact(db, (trx) => beginSession(trx, sessionNamed(`${i}`, -hour), null));
    const again = openAgain(t, test).db;
    await Promise.all([db, again, db, again].map(clearEndedSessions));
    t.same(await db.selectFrom('sessions').select('hash').execute(), [{ hash: 'good' }]);
  });
}

function sessionNamed(hash: string, lifeMs: number) {
  const expiresAt = new Date(Date.now() + lifeMs).toISOString();
  return { hash, userId: 'u', provider: 'idp', vouchedEmail: null, expiresAt };
}
