import { sql } from 'kysely';
import t from 'tap';
import { type Db, rowsOf } from '../../src/store/database.ts';
import { type Difference, listLedger, lookOverBalances, sumUsage } from '../../src/store/history.ts';
import { importUsers } from '../../src/store/import-users.ts';
import { findUser } from '../../src/store/users.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { addUsage, auditOf, callerOf, callOnce, openTestMeter } from '../helpers/meters.ts';
import { userWith } from '../helpers/users.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: the ledger comes newest first, page by page, of one user alone`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const user = await userWith(db, 1);
    const other = await userWith(db, 1);
    for (let i = 2; i <= 5; i++) await sql`UPDATE users SET credits = credits + ${i} WHERE id = ${user.id}`.execute(db);
    const { entries: all, next } = await listLedger(db, user.id, { limit: 10 });
    t.equal(next, null);
    t.same(
      all.map(({ id }) => id),
      all
        .map(({ id }) => id)
        .sort()
        .reverse(),
    );
    t.equal(all.length, 5);
    t.match(
      all.find(({ kind }) => kind === 'signup'),
      { kind: 'signup', amount: 1, actor: 'test', route: null, keyId: null, requestId: null },
    );
    const first = await listLedger(db, user.id, { limit: 2 });
    const rest = await listLedger(db, user.id, { limit: 3, before: first.next ?? '' });
    t.same([...first.entries, ...rest.entries], all);
    t.equal(rest.next, null);
    t.equal((await listLedger(db, other.id, { limit: 9 })).entries.length, 1);
  });

  t.test(`${dialect}: a page looks at no more than 5,000 entries, and none is left out`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const entries = Array.from({ length: 10_010 }, (_, i) => ({
      id: `01a20f42-04f4-7000-8000-${String(i).padStart(12, '0')}`,
      route: i % 2_000 === 0 ? 'rare' : 'usual',
    }));
    await sql`INSERT INTO ledger (id, user_id, kind, amount, route)
      SELECT v.id, 'u', 'charge', -1, v.route FROM ${rowsOf(db, { id: 'text', route: 'text' }, entries)}`.execute(db);
    const seen: string[] = [];
    const sizes: number[] = [];
    for (let before: string | null | undefined; before !== null; ) {
      const page: Awaited<ReturnType<typeof listLedger>> = await listLedger(db, 'u', {
        before,
        route: 'rare',
        limit: 5,
      });
      seen.push(...page.entries.map(({ id }) => id));
      sizes.push(page.entries.length);
      before = page.next;
    }
    const rare = entries.filter(({ route }) => route === 'rare').map(({ id }) => id);
    t.same(seen, rare.reverse());
    t.same(sizes, [3, 2, 1]);
  });

  t.test(`${dialect}: usage is summed over the hours from the first, to before the last`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    await callsAt(db, 'u1', 'chat', [
      '2026-01-01T23:00:00.000Z',
      '2026-01-02T00:00:00.000Z',
      '2026-01-03T00:00:00.000Z',
    ]);
    await callsAt(db, 'u2', 'search', ['2026-01-02T05:00:00.000Z']);
    const totals = { calls: 2, charged: 7, failed: 1, refused: 3 };
    t.same(await sumUsage(db, { by: 'day', limit: 10 }), [
      { key: '2026-01-01', ...totals },
      { key: '2026-01-02', calls: 4, charged: 14, failed: 2, refused: 6 },
      { key: '2026-01-03', ...totals },
    ]);
    const range = { from: '2026-01-02T00:00:00.000Z', to: '2026-01-03T00:00:00.000Z', limit: 10 };
    t.same(await sumUsage(db, { by: 'route', ...range }), [
      { key: 'chat', ...totals },
      { key: 'search', ...totals },
    ]);
    t.match(await sumUsage(db, { by: 'user', limit: 1 }), [{ key: 'u1', calls: 6 }], 'the most calls first');
    t.same(await sumUsage(db, { by: 'route', limit: 1, from: '2027-01-01T00:00:00.000Z' }), []);
  });

  t.test(`${dialect}: the audit goes through all users and finds the one balance that is off`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const users = Array.from({ length: 2_001 }, (_, i) => ({
      email: `u${i}@b.example`,
      name: 'U',
      plan: 'Basic',
      credits: i,
    }));
    await importUsers(db, users, { actor: 'test' });
    t.same(await auditOf(db), { users: 2_001, differences: [] });
    const { id } = await findUser(db, 'u7@b.example');
    await sql`UPDATE users SET credits = 8, posted = posted + 1 WHERE id = ${id}`.execute(db);
    t.same(await auditOf(db), {
      users: 2_001,
      differences: [{ userId: id, email: 'u7@b.example', credits: 8, ledger: 7 }],
    });
  });

  t.test(`${dialect}: an audit finds nothing while calls are charged`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { db } = test.database;
    const ids = Array.from({ length: 300 }, (_, i) => `u${i}`);
    await db
      .insertInto('users')
      .values(ids.map((id) => ({ id, name: id, credits: 100 })))
      .execute();
    const { meter } = await openTestMeter(t, openAgain(t, test));
    for (let round = 0; round < 5; round++) {
      const calls = ids.map((id) => callOnce(meter, callerOf(id), 1));
      t.same(await auditOf(db), { users: 300, differences: [] });
      t.ok((await Promise.all(calls)).every((code) => code === null));
    }
    await meter.close();
    const { rows } = await sql`SELECT sum(credits) AS credits FROM users`.execute(db);
    t.match(rows, [{ credits: 300 * 95 }]);
  });

  t.test(`${dialect}: a look over the balances is bounded in users and in entries`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const users = [await userWith(db, 5), await userWith(db, 5), await userWith(db, 5)];
    await sql`UPDATE users SET credits = 4, posted = posted + 1`.execute(db);
    await sql`UPDATE users SET credits = 6`.execute(db);
    const [first = '', second = '', third = ''] = users.map(({ id }) => id).sort();
    const idsOf = (differences: readonly Difference[]) => differences.map(({ userId }) => userId);
    const page = await lookOverBalances(db, '', { users: 2, entriesMax: 2 });
    t.same([page.last, idsOf(page.differences)], [second, [first, second]]);
    const end = await lookOverBalances(db, second, { users: 2, entriesMax: 2 });
    t.same([end.last, idsOf(end.differences)], [null, [third]]);
    t.same((await lookOverBalances(db, '', { users: 9, entriesMax: 1 })).differences, [], 'who has more is left out');
  });
}

async function callsAt(db: Db, userId: string, route: string, hours: readonly string[]): Promise<void> {
  const rows = hours.map((hour) => ({ user_id: userId, hour, route, calls: 2, charged: 7, failed: 1, refused: 3 }));
  await addUsage(db, rows);
}
