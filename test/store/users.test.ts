import { CompiledQuery, sql } from 'kysely';
import t from 'tap';
import { type Db, isPostgres, rowsOf } from '../../src/store/database.ts';
import { importUsers } from '../../src/store/import-users.ts';
import {
  blockUser,
  createUser,
  findUser,
  listUsers,
  listUsersBy,
  setPlan,
  type User,
  type UserOrder,
  type UserPlace,
  unblockUser,
} from '../../src/store/users.ts';
import { dialects, migratedDatabase } from '../helpers/databases.ts';
import { amountsOf, userWith } from '../helpers/users.ts';

const fieldOf = { created: 'createdAt', email: 'email', name: 'name', credits: 'credits' } as const;
const orders = Object.keys(fieldOf) as UserOrder[];

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

  t.test(`${dialect}: sorted pages hold everybody once, however alike, in both directions`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const moments = ['2026-01-02T03:04:05.678001Z', '2026-01-02T03:04:05.678002Z', '2026-01-02T03:04:05.679Z'];
    const long = 'x'.repeat(128);
    const names = ['ann', 'Ann', 'Zoe', `${long}b`, `${long}a`];
    const users = Array.from({ length: 40 }, (_, i) => ({
      id: `${i % 3}u${i}`,
      name: names[i % 5] ?? '',
      email: i % 4 === 0 ? null : `U${40 - i}@b.example`,
      credits: i % 6,
      created_at: moments[i % moments.length] ?? '',
    }));
    await db.insertInto('users').values(users).execute();
    for (const by of orders) {
      const up = await pagesOf(db, { by, isDescending: false }, 3);
      const down = await pagesOf(db, { by, isDescending: true }, 7);
      const ids = up.map(({ id }) => id);
      t.same([...ids].sort(), users.map(({ id }) => id).sort(), by);
      t.same(down.map(({ id }) => id).reverse(), ids, `${by}, the other way round`);
    }
    const told = async (by: UserOrder) =>
      (await pagesOf(db, { by, isDescending: false }, 9)).map((user) => user[fieldOf[by]]);
    t.same(await told('credits'), users.map(({ credits }) => credits).sort());
    t.same(new Set((await told('email')).slice(0, 10)), new Set([null]));
    t.same((await told('name')).slice(-8), Array(8).fill('Zoe'));
    t.same([...(await told('created'))].sort(), await told('created'));
  });

  t.test(`${dialect}: a search looks at so many users for each page, and goes on where it has ended`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const ids = Array.from({ length: 45_000 }, (_, i) => ({ id: `u${String(i).padStart(5, '0')}` }));
    await sql`INSERT INTO users (id, name, credits, posted)
      SELECT v.id, v.id, 0, 1 FROM ${rowsOf(db, { id: 'text' }, ids)} WHERE true`.execute(db);
    const named = (by: UserOrder, search: string, after?: UserPlace) =>
      listUsersBy(db, { by, isDescending: true }, { search, after, limit: 100 });
    for (const by of ['name', 'email', 'credits'] as const) {
      const pages: string[][] = [];
      for (let after: UserPlace | null | undefined; after !== null; ) {
        const { users, next } = await named(by, '10', after);
        pages.push(users.map(({ id }) => id));
        after = next;
        if (pages.length > 5_000) throw new Error('there is no end');
      }
      const found = ids.map(({ id }) => id).filter((id) => id.includes('10'));
      t.same(pages.flat(), found.toReversed(), by);
    }
    const first = await named('name', 'u00007');
    t.match(first, { users: [], next: { id: 'u25000' } });
    const second = await named('name', 'u00007', first.next ?? undefined);
    t.match(second, { users: [], next: { id: 'u05000' } });
    t.match(await named('name', 'u00007', second.next ?? undefined), { users: [{ id: 'u00007' }], next: null });
  });

  t.test(`${dialect}: a page of sorted users is read from an index, the first one and those after it`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const ids = Array.from({ length: 2_000 }, (_, i) => ({ id: `u${i}` }));
    await sql`INSERT INTO users (id, name, credits, posted)
      SELECT v.id, v.id, 0, 1 FROM ${rowsOf(db, { id: 'text' }, ids)} WHERE true`.execute(db);
    await sql`ANALYZE`.execute(db);
    for (const by of orders) {
      // In PostgreSQL there is none, so that a balance can be lowered in place.
      if (by === 'credits' && dialect === 'postgres') continue;
      for (const isDescending of [false, true]) {
        const { next } = await listUsersBy(db, { by, isDescending }, { limit: 3 });
        for (const after of [undefined, next ?? undefined]) {
          const plan = await planOf(db, (db) => listUsersBy(db, { by, isDescending }, { after, limit: 3 }));
          t.match(plan, new RegExp(`users_by_${by}`), plan);
          t.notMatch(plan, /Sort|TEMP B-TREE|Seq Scan/, plan);
          const isRange = /Index Cond|SEARCH users/.test(plan);
          t.equal(isRange, after !== undefined, plan);
        }
      }
    }
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

/** Everybody, page by page. */
async function pagesOf(db: Db, order: { by: UserOrder; isDescending: boolean }, limit: number): Promise<User[]> {
  const seen: User[] = [];
  for (let after: UserPlace | null | undefined; after !== null; ) {
    const { users, next } = await listUsersBy(db, order, { after, limit });
    if (next !== null && (users.length !== limit || seen.length > 1_000)) throw new Error('there is no end');
    seen.push(...users);
    after = next;
  }
  return seen;
}

/** How the database would go about what the work asks first. */
async function planOf(db: Db, work: (db: Db) => Promise<unknown>): Promise<string> {
  const asked: CompiledQuery[] = [];
  const watching = db.withPlugin({
    transformQuery: ({ node, queryId }) => {
      asked.push(db.getExecutor().compileQuery(node, queryId));
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  await work(watching);
  const [first] = asked;
  if (first === undefined) throw new Error('nothing was asked');
  const how = isPostgres(db) ? 'EXPLAIN' : 'EXPLAIN QUERY PLAN';
  const { rows } = await db.executeQuery<Record<string, unknown>>(
    CompiledQuery.raw(`${how} ${first.sql}`, [...first.parameters]),
  );
  return rows.map((row) => row['QUERY PLAN'] ?? row['detail']).join('\n');
}
