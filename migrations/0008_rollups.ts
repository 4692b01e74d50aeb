// Totals that are added to together with `usage_hourly`, so that whoever asks about all users does not read the rows of each:
// by the hour and the route over everybody, and by the day for each user. And an index for every order in which users are
// listed, but for that of their credits on PostgreSQL: a balance that is in an index cannot be lowered in place (HOT), and
// each charge would be written to all the others too.

import { type Kysely, sql } from 'kysely';
import { isPostgres } from '../src/store/database.ts';

/** What `down` takes away, for the operator to read before it happens. All of it can be counted anew. */
export const drops = ['usage_totals', 'usage_daily'];

export async function up(db: Kysely<unknown>): Promise<void> {
  const statements = isPostgres(db)
    ? [...tables('bigint', 'timestamptz', ''), ...filled(`date_trunc('day', hour, 'UTC')`), ...orders]
    : [
        ...tables('integer', 'text', ' STRICT, WITHOUT ROWID'),
        ...filled(`substr(hour, 1, 10) || 'T00:00:00.000Z'`),
        ...sqliteOrders,
      ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  const names = [
    'users_by_created',
    'users_by_email',
    'users_by_name',
    ...(isPostgres(db) ? [] : ['users_by_credits']),
  ];
  for (const name of names) await sql`DROP INDEX ${sql.ref(name)}`.execute(db);
  for (const table of drops) await db.schema.dropTable(table).execute();
}

/** On SQLite the key is the table: one tree to write, not two. */
const tables = (int: string, time: string, strict: string) => [
  // Every instance adds to the same hour. `shard` keeps them apart, so that seldom two of them wait for one row.
  `CREATE TABLE usage_totals (
    hour ${time} NOT NULL,
    route text NOT NULL,
    shard ${int} NOT NULL,
    ${counts(int)},
    PRIMARY KEY (hour, route, shard)
  )${strict}`,
  `CREATE TABLE usage_daily (
    day ${time} NOT NULL,
    user_id text NOT NULL,
    ${counts(int)},
    PRIMARY KEY (day, user_id)
  )${strict}`,
];

function counts(int: string): string {
  return ['calls', 'charged', 'failed', 'refused'].map((name) => `${name} ${int} NOT NULL`).join(', ');
}

const sums = 'sum(calls), sum(charged), sum(failed), sum(refused)';

const filled = (day: string) => [
  `INSERT INTO usage_totals SELECT hour, route, 0, ${sums} FROM usage_hourly GROUP BY hour, route`,
  `INSERT INTO usage_daily SELECT ${day}, user_id, ${sums} FROM usage_hourly GROUP BY 1, 2`,
];

// Names may be of any length, and an index takes 2.7 kB a row.
const orders = [
  'CREATE INDEX users_by_created ON users (created_at, id)',
  `CREATE INDEX users_by_email ON users (coalesce(lower(email), ''), id)`,
  'CREATE INDEX users_by_name ON users (substr(lower(name), 1, 128), id)',
];
const sqliteOrders = [...orders, 'CREATE INDEX users_by_credits ON users (credits, id)'];
