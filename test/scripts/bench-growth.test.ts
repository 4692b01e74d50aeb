import { sql } from 'kysely';
import t from 'tap';
import { assertBalanced } from '../../scripts/bench/callers.ts';
import { fill, userIdOf } from '../../scripts/bench/growth/fill.ts';
import type { GrowthReport } from '../../scripts/bench/growth/growth.ts';
import { stepsOf } from '../../scripts/bench/growth/steps.ts';
import { type Database, type Db, isPostgres } from '../../src/store/database.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { auditUsage } from '../../src/store/usage-audit.ts';
import { dialects, emptyDatabase } from '../helpers/databases.ts';
import { runScript } from '../helpers/scripts.ts';

t.test('a short growth measures every step, and every answer was charged once', async (t) => {
  const sizes = '--max-users 1 --max-rows 0 --max-instances 2 --callers 2';
  const { code, out, err } = await runScript(
    'bench-growth',
    `--json --rounds 1 --seconds 0.2 --connections 4 ${sizes} --store sqlite`,
  );
  t.equal(code, 0, err);
  const report: GrowthReport = JSON.parse(out);
  t.same(
    report.steps.map(({ users, charges, instances }) => [users, charges, instances]),
    [
      [1, 0, 1],
      [1, 0, 2],
    ],
  );
  const spread = { median: Number, min: Number, max: Number };
  for (const step of report.steps) {
    t.match(step, { requestsPerSecond: spread, syncMs: spread, roundTripsPer1000Charges: spread, ratio: spread });
    t.ok(step.answered > 0);
    t.equal(step.charged, step.answered);
  }
  t.match(report.steps[0], { ratio: { median: 1 }, callers: 1 });
});

t.test('users, charges and instances grow in turn, up to their bounds', async (t) => {
  const steps = stepsOf({ maxUsers: 1_000_000, maxCharges: 10_000_000, maxInstances: 4 });
  t.same(
    steps.map(({ users, charges, instances }) => `${users} ${charges} ${instances}`),
    [
      ...['1 0 1', '100 0 1', '10000 0 1', '1000000 0 1'],
      ...['1000000 100000 1', '1000000 10000000 1'],
      ...['1 0 2', '1 0 4', '1000000 10000000 2', '1000000 10000000 4'],
    ],
  );
  t.same(stepsOf({ maxUsers: 1, maxCharges: 0, maxInstances: 1 }), [{ users: 1, charges: 0, instances: 1 }]);
});

for (const dialect of dialects) {
  t.test(`${dialect}: a database that was filled is as its migrations made it, and its books are right`, async (t) => {
    const { database } = await emptyDatabase(t, dialect);
    await migrateUp(database);
    const before = await makeUpOf(database);
    await fill(database, { users: 30, charges: 700 });
    t.same(await makeUpOf(database), before, 'triggers and indexes are what they were');
    const { db } = database;
    await assertBalanced(db);
    const usage = [];
    for await (const difference of auditUsage(db)) usage.push(difference);
    t.same(usage, [null], 'and so are the totals of the one day of use');
    t.same(await countsOf(db), { users: 30, entries: 730, keys: 30 });
    const id = userIdOf(29);
    await db.updateTable('users').set({ credits: 5 }).where('id', '=', id).execute();
    await assertBalanced(db);
    t.equal((await countsOf(db)).entries, 731, 'a hand-made edit of a user who was filled in is booked');
    await t.rejects(db.deleteFrom('ledger').execute(), /never changed or deleted/);
  });
}

async function countsOf(db: Db): Promise<{ users: number; entries: number; keys: number }> {
  const { rows } = await sql<{ users: number; entries: number; keys: number }>`SELECT
    (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM ledger) AS entries,
    (SELECT count(*) FROM api_keys) AS keys`.execute(db);
  return { ...rows[0] } as { users: number; entries: number; keys: number };
}

/** Each index and trigger as the database tells it, with whether it fires. */
async function makeUpOf({ db, schema }: Database): Promise<unknown[]> {
  const query = isPostgres(db)
    ? sql`SELECT tgname AS name, tgenabled::text AS text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = ${schema} AND NOT tgisinternal
        UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = ${schema} ORDER BY 1`
    : sql`SELECT name, sql AS text FROM sqlite_master ORDER BY name`;
  return (await query.execute(db)).rows;
}
