import t from 'tap';
import { importUsers } from '../../src/store/import-users.ts';
import { blockUser, createUser, findUser, listUsers, setPlan, unblockUser } from '../../src/store/users.ts';
import { dialects, migratedDatabase } from '../helpers/databases.ts';
import { amountsOf, userWith } from '../helpers/users.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: a new user has the starting credits and one signup entry by who made it`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const user = await db
      .transaction()
      .execute((trx) =>
        createUser(trx, { email: 'Ann.Lee@b.example', name: null, plan: 'Gold', credits: 70 }, 'cli:x'),
      );
    t.match(user, { email: 'Ann.Lee@b.example', name: 'Ann.Lee', plan: 'Gold', credits: 70, blockedAt: null });
    t.match(user.id, /^[a-z][a-z0-9]{23}$/);
    t.match(await db.selectFrom('ledger').selectAll().execute(), [
      { user_id: user.id, kind: 'signup', amount: 70, actor: 'cli:x' },
    ]);
    t.same(await findUser(db, user.id), user);
  });

  t.test(`${dialect}: a service account needs no address and, without credits, no entry`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const user = await userWith(db, 0);
    t.match(user, { email: null, name: 'service', credits: 0 });
    t.same(await amountsOf(db, user.id), []);
    t.ok(await userWith(db, 0), 'and there may be several');
  });

  t.test(`${dialect}: one address is one user, in whatever case it is written`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const user = await userWith(db, 5, 'a@b.example');
    await t.rejects(userWith(db, 5, 'A@B.example'), { code: 'EMAIL_TAKEN' });
    t.same(await amountsOf(db, user.id), [5]);
    t.equal((await findUser(db, 'A@b.EXAMPLE')).id, user.id);
    for (const reference of ['b@b.example', 'https://accounts.example#42', '', '%'])
      await t.rejects(findUser(db, reference), { code: 'USER_NOT_FOUND' });
  });

  t.test(`${dialect}: lists go by pages and find part of a name, an address or an id, in any case`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    for (const email of ['ann@b.example', 'bob@b.example', 'under_score@b.example', 'per%cent@b.example'])
      await userWith(db, 0, email);
    const all = await listUsers(db, { limit: 10 });
    t.same(
      all.map(({ id }) => id),
      all.map(({ id }) => id).sort(),
    );
    const first = await listUsers(db, { limit: 3 });
    t.same([...first, ...(await listUsers(db, { limit: 3, after: first.at(-1)?.id }))], all);
    const search = async (text: string) => (await listUsers(db, { search: text, limit: 10 })).map(({ email }) => email);
    t.same(await search('ANN'), ['ann@b.example']);
    t.same(await search('r_s'), ['under_score@b.example'], 'an underscore is itself');
    t.same(await search('%'), ['per%cent@b.example']);
    t.same(await search(all[0]?.id ?? ''), [all[0]?.email]);
  });

  t.test(
    `${dialect}: blocking and unblocking is noted for the gateways, and blocking again keeps the time`,
    async (t) => {
      const { db } = (await migratedDatabase(t, dialect)).database;
      const { id } = await userWith(db, 5);
      const blocked = await blockUser(db, id);
      t.match(blocked.blockedAt, /^\d{4}-.*Z$/);
      t.equal((await blockUser(db, id)).blockedAt, blocked.blockedAt);
      t.equal((await unblockUser(db, id)).blockedAt, null);
      t.same(await db.selectFrom('changes').select(['kind', 'ref']).execute(), [
        { kind: 'user', ref: id },
        { kind: 'user', ref: id },
      ]);
      await t.rejects(blockUser(db, 'nobody'), { code: 'USER_NOT_FOUND' });
    },
  );

  t.test(`${dialect}: changing the plan moves no credits`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 5);
    t.match(await setPlan(db, id, 'Gold'), { plan: 'Gold', credits: 5 });
    t.same(await amountsOf(db, id), [5]);
  });

  t.test(`${dialect}: an import creates whom it does not find, with a signup entry each, and once`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const ann = await userWith(db, 5, 'ANN@b.example');
    const users = Array.from({ length: 2_500 }, (_, i) => ({
      email: i === 0 ? 'ann@b.example' : `u${i}@b.example`,
      name: `User ${i}`,
      plan: 'Basic',
      credits: i % 3,
    }));
    const done: number[] = [];
    const run = () => importUsers(db, users, { actor: 'cli:x', onProgress: (count) => done.push(count) });
    t.same(await run(), { created: 2_499, existing: 1 });
    t.same(done, [1_000, 2_000, 2_500]);
    t.same(await run(), { created: 0, existing: 2_500 });
    t.same(await findUser(db, ann.id), ann, 'who was there is left alone');
    const u5 = await findUser(db, 'u5@b.example');
    t.match(u5, { name: 'User 5', credits: 2 });
    const entries = db.selectFrom('ledger').select(['kind', 'amount', 'actor']);
    t.same(await entries.where('user_id', '=', u5.id).execute(), [{ kind: 'signup', amount: 2, actor: 'cli:x' }]);
    t.equal((await entries.execute()).length, 1 + 2 * 833, 'no entry where there is nothing to book');
  });
}
