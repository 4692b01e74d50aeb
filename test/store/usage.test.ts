import { sql } from 'kysely';
import t from 'tap';
import type { Tables } from '../../src/store/database.ts';
import { sumUsage, sumUsageOverTime, sumUserUsage, type UsageKey } from '../../src/store/history.ts';
import { dialects, migratedDatabase } from '../helpers/databases.ts';
import { addUsage } from '../helpers/meters.ts';
import { type Random, randomFrom } from '../helpers/random.ts';

type Hour = Tables['usage_hourly'];
const hourMs = 60 * 60_000;
const firstMs = Date.parse('2026-01-30T00:00:00.000Z');
const hoursMax = 5 * 24;
const routes = ['chat', 'find', 'read all'];

for (const dialect of dialects) {
  t.test(`${dialect}: totals of any range are the sums of its hours, whatever they are read from`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const random = randomFrom(11);
    const hours = drawHours(random, 400);
    await addUsage(db, hours);
    for (let n = 0; n < 60; n++) {
      const [from, to] = [drawTime(random, n), drawTime(random, n + 1)];
      const some = hours.filter(({ hour }) => (from === undefined || hour >= from) && (to === undefined || hour < to));
      for (const by of ['route', 'user', 'day', 'hour'] as const) {
        const limit = random.of([3, 1_000]);
        t.same(await sumUsage(db, { by, from, to, limit }), expected(some, by).slice(0, limit), `${by} ${from} ${to}`);
      }
    }
  });

  t.test(`${dialect}: use over time is told by the hour or the day, of all routes, of each, or of one`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const random = randomFrom(12);
    const hours = drawHours(random, 300);
    await addUsage(db, hours);
    for (let n = 0; n < 40; n++) {
      const from = drawTime(random, 1) ?? '';
      const to = new Date(Date.parse(from) + random.below(60) * hourMs).toISOString();
      const [bucket, isByRoute] = [random.of(['hour', 'day'] as const), random.percent(50)];
      const route = random.of([undefined, ...routes, 'none']);
      const some = hours.filter(({ hour }) => hour >= from && hour < to);
      const query = { bucket, isByRoute, route, from, to, limit: random.of([4, 1_000]) };
      t.same(await sumUsageOverTime(db, query), overTime(some, query), JSON.stringify(query));
      const ofUser = some.filter(({ user_id }) => user_id === 'u1');
      t.same(await sumUserUsage(db, 'u1', query), overTime(ofUser, query), `of u1, ${JSON.stringify(query)}`);
    }
  });
}

t.test('postgres: who uses most is told without the hours of whole days', async (t) => {
  const { db } = (await migratedDatabase(t, 'postgres')).database;
  await addUsage(db, drawHours(randomFrom(13), 50));
  await sql`DELETE FROM usage_hourly WHERE hour >= '2026-01-31' AND hour < '2026-02-02'`.execute(db);
  const days = { from: '2026-01-31T00:00:00.000Z', to: '2026-02-02T00:00:00.000Z', limit: 10 };
  t.ok((await sumUsage(db, { by: 'user', ...days })).length > 0);
  t.ok((await sumUsage(db, { by: 'route', ...days })).length > 0);
});

function drawHours(random: Random, count: number): Hour[] {
  const hours = new Map<string, Hour>();
  for (let i = 0; i < count; i++) {
    const hour = new Date(firstMs + random.below(hoursMax) * hourMs).toISOString();
    const [user_id, route] = [`u${random.below(5)}`, random.of(routes)];
    const counts = {
      calls: random.below(50),
      charged: random.below(500),
      failed: random.below(9),
      refused: random.below(9),
    };
    hours.set(`${user_id} ${hour} ${route}`, { user_id, hour, route, ...counts });
  }
  return [...hours.values()];
}

/** Midnight, an hour, some time within one, or now and then none. */
function drawTime(random: Random, n: number): string | undefined {
  if (n % 8 === 0) return undefined;
  const step = random.of([24 * hourMs, hourMs, 7 * 60_000]);
  return new Date(firstMs - 24 * hourMs + random.below((7 * 24 * hourMs) / step) * step).toISOString();
}

function expected(hours: readonly Hour[], by: UsageKey) {
  const keyOf = ({ route, user_id, hour }: Hour) =>
    by === 'route' ? route : by === 'user' ? user_id : by === 'day' ? hour.slice(0, 10) : hour;
  const rows = [...sumBy(hours, keyOf)].map(([key, counts]) => ({ key, ...counts }));
  const byKey = rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  return by === 'day' || by === 'hour' ? byKey : byKey.sort((a, b) => b.calls - a.calls);
}

function overTime(
  hours: readonly Hour[],
  { bucket, isByRoute, route, limit }: { bucket: string; isByRoute: boolean; route: string | undefined; limit: number },
) {
  const some = hours.filter((hour) => route === undefined || hour.route === route);
  const startOf = (hour: string) => (bucket === 'hour' ? hour : `${hour.slice(0, 10)}T00:00:00.000Z`);
  const sums = sumBy(some, (hour) => JSON.stringify([startOf(hour.hour), isByRoute ? hour.route : null]));
  const rows = [...sums].sort(([a], [b]) => (a < b ? -1 : 1));
  return rows.slice(0, limit).map(([key, counts]) => {
    const [start, route] = JSON.parse(key);
    return { start, route, ...counts };
  });
}

function sumBy(hours: readonly Hour[], keyOf: (hour: Hour) => string) {
  const sums = new Map<string, Record<'calls' | 'charged' | 'failed' | 'refused', number>>();
  for (const { calls, charged, failed, refused, ...names } of hours) {
    const key = keyOf({ ...names, calls, charged, failed, refused });
    const sum = sums.get(key) ?? { calls: 0, charged: 0, failed: 0, refused: 0 };
    sums.set(key, {
      calls: sum.calls + calls,
      charged: sum.charged + charged,
      failed: sum.failed + failed,
      refused: sum.refused + refused,
    });
  }
  return sums;
}
