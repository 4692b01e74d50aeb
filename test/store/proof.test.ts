import { sql } from 'kysely';
import t from 'tap';
import { transact } from '../../src/store/database.ts';
import { createEditNotes, editByHand, handEditOf } from '../../src/store/proof.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: what came of an edit can be asked for afterwards`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const { db } = database;
    await createEditNotes(db);
    await sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`.execute(db);
    const made = await editByHand(db, 'e1', 'u1', 40);
    t.same(made, { before: 10, after: 40, reserved: 0 });
    t.same(await handEditOf(db, 'e1', 'u1'), made);
    await t.rejects(editByHand(db, 'e2', 'u1', Number.MAX_VALUE));
    t.equal(await handEditOf(db, 'e2', 'u1'), null);
  });

  for (const end of ['is committed', 'is rolled back']) {
    t.test(`${dialect}: the answer about an edit waits until it ${end}`, async (t) => {
      const test = await migratedDatabase(t, dialect);
      const { db } = test.database;
      await createEditNotes(db);
      await sql`INSERT INTO users (id, name, credits) VALUES ('u1', 'A', 10)`.execute(db);
      const asker = openAgain(t, test);
      const told: string[] = [];
      let answer: Promise<unknown> | undefined;
      const edit = transact(db, async (trx) => {
        await sql`UPDATE users SET credits = 40 WHERE id = 'u1'`.execute(trx);
        await sql`INSERT INTO edits_by_hand VALUES ('e1', 10, 40, 0)`.execute(trx);
        answer = handEditOf(asker.db, 'e1', 'u1').finally(() => told.push('answer'));
        await new Promise((resolve) => setTimeout(resolve, 300));
        told.push('end');
        if (end === 'is rolled back') throw new Error('rolled back');
      });
      await edit.catch(() => {});
      t.same(await answer, end === 'is committed' ? { before: 10, after: 40, reserved: 0 } : null);
      t.same(told, ['end', 'answer']);
    });
  }
}
