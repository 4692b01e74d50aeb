// What hands may do to the books, and what is made of it: the ledger refuses to be changed, the limit of a key counts
// everywhere within a second, a REPLACE on SQLite is booked like an update, and a dump can be loaded under the triggers.
// Changes get an order in which none can be missed, however long their transaction takes to commit.

import { type Kysely, sql } from 'kysely';
import { isPostgres } from '../src/store/database.ts';

/** What `down` takes away, for the operator to read before it happens. Notes of a statement under way are no rows to lose. */
export const drops: string[] = [];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of isPostgres(db) ? postgres : sqlite) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  const statements = isPostgres(db)
    ? [
        ...postgresTriggers.map(([name, table]) => `DROP TRIGGER ${name} ON ${table}`),
        ...Object.keys(postgresFunctions).map((name) => `DROP FUNCTION ${name}()`),
        'ALTER TABLE changes DROP COLUMN xid',
      ]
    : [...Object.keys(sqliteTriggers).map((name) => `DROP TRIGGER ${name}`), 'DROP TABLE users_in_the_way'];
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const ledgerRefusal = 'ledger entries are never changed or deleted; correct the books by changing users.credits';
const truncateRefusal = 'users have history in the ledger and cannot be truncated';
const replaceRefusal = 'REPLACE would delete another user, who has this e-mail address; use UPDATE';

// `posted` is 0 only in a row that was inserted by hand a moment ago: once it is booked it is 1. So the users of a dump are
// taken for what they are, whether their ledger is loaded before them or after.
const firstPosted = 'UPDATE users SET posted = 1 WHERE posted = 0';

// A gateway that raises `spent` moves `last_used_at` on. Where that stands still or goes back it was a hand, or it may
// have been: to ask for a lease that did not need it costs one exchange.
const isKeyEdited = (differs: string, equals: string) => `(NEW.limit_credits ${differs} OLD.limit_credits OR
  (NEW.spent <> OLD.spent AND (NEW.last_used_at ${equals} OLD.last_used_at OR NEW.last_used_at < OLD.last_used_at)))`;

const postgresFunctions: Record<string, string> = {
  tollgate_users_begun: `BEGIN ${firstPosted} AND id = NEW.id; RETURN NULL; END`,
  tollgate_users_truncated: `BEGIN
      IF EXISTS (SELECT 1 FROM ledger) THEN RAISE EXCEPTION '${truncateRefusal}'; END IF;
      RETURN NULL;
    END`,
  tollgate_ledger_kept: `BEGIN RAISE EXCEPTION '${ledgerRefusal}'; END`,
  // Leases are changed under the lock of their user alone, by whoever it is.
  tollgate_keys_limited: `BEGIN
      PERFORM 1 FROM users WHERE id = NEW.user_id FOR NO KEY UPDATE;
      UPDATE leases SET recall = 'asked' WHERE user_id = NEW.user_id AND key_id = NEW.id;
      RETURN NULL;
    END`,
};

const postgresTriggers = [
  [
    'tollgate_users_begun',
    'users',
    'AFTER INSERT ON users FOR EACH ROW WHEN (NEW.posted = 0) EXECUTE FUNCTION tollgate_users_begun()',
  ],
  [
    'tollgate_users_truncated',
    'users',
    'BEFORE TRUNCATE ON users FOR EACH STATEMENT EXECUTE FUNCTION tollgate_users_truncated()',
  ],
  [
    'tollgate_ledger_kept',
    'ledger',
    `BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger FOR EACH STATEMENT
      EXECUTE FUNCTION tollgate_ledger_kept()`,
  ],
  [
    'tollgate_keys_limited',
    'api_keys',
    `AFTER UPDATE OF limit_credits, spent ON api_keys FOR EACH ROW
      WHEN ${isKeyEdited('IS DISTINCT FROM', 'IS NOT DISTINCT FROM')} EXECUTE FUNCTION tollgate_keys_limited()`,
  ],
] as const;

const postgres = [
  // The order of ids and times is that of the beginning; which snapshots see a row goes by its transaction.
  'ALTER TABLE changes ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id()',
  'CREATE INDEX changes_by_xid ON changes (xid)',
  firstPosted,
  ...Object.entries(postgresFunctions).map(
    ([name, body]) =>
      // FROM CURRENT keeps the schema: a hand-made edit may come with any search_path.
      `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ ${body} $$`,
  ),
  ...postgresTriggers.map(([name, _, rest]) => `CREATE TRIGGER ${name} ${rest}`),
];

// REPLACE deletes whoever is in its way without firing the triggers for it. So each INSERT notes first who that is, and
// afterwards, if it came to pass, makes of the two halves the one change that was meant.
const sqliteEntryId = `(SELECT substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7' || substr(r, 1, 3) || '-' ||
    substr('89ab', 1 + (abs(random()) % 4), 1) || substr(r, 4, 3) || '-' || substr(r, 7, 12)
  FROM (SELECT printf('%012x', CAST(round((julianday('now') - 2440587.5) * 86400000) AS integer)) AS ms,
    lower(hex(randomblob(9))) AS r))`;

const sqliteTriggers: Record<string, string> = {
  tollgate_users_in_the_way: `BEFORE INSERT ON users
    BEGIN
      DELETE FROM users_in_the_way;
      INSERT INTO users_in_the_way SELECT id, posted FROM users WHERE id = NEW.id OR lower(email) = lower(NEW.email);
    END`,
  tollgate_users_begun: `AFTER INSERT ON users
    WHEN NEW.posted = 0 AND NOT EXISTS (SELECT 1 FROM users_in_the_way)
    BEGIN ${firstPosted} AND id = NEW.id; END`,
  tollgate_users_replaced: `AFTER INSERT ON users WHEN EXISTS (SELECT 1 FROM users_in_the_way)
    BEGIN
      SELECT RAISE(ABORT, '${replaceRefusal}') FROM users_in_the_way WHERE id <> NEW.id;
      INSERT INTO ledger (id, user_id, kind, amount, actor, note)
        SELECT ${sqliteEntryId}, NEW.id, 'adjustment', NEW.credits - booked, 'sql', 'changed by SQL'
        FROM (SELECT coalesce(sum(amount), 0) AS booked FROM ledger WHERE user_id = NEW.id)
        WHERE NEW.posted <> 0 AND NEW.credits <> booked;
      UPDATE users SET posted = (SELECT max(1, posted) FROM users_in_the_way) WHERE id = NEW.id;
      UPDATE leases SET recall = 'asked' WHERE user_id = NEW.id;
      INSERT INTO changes (kind, ref) VALUES ('user', NEW.id);
    END`,
  // A counter that went back would make what an ORM has read long ago look like a write of the gateway's.
  tollgate_users_counted: `AFTER UPDATE OF posted ON users WHEN NEW.posted < OLD.posted AND NEW.credits = OLD.credits
    BEGIN UPDATE users SET posted = OLD.posted WHERE id = NEW.id; END`,
  tollgate_users_address: `BEFORE UPDATE OF email ON users
    WHEN EXISTS (SELECT 1 FROM users WHERE lower(email) = lower(NEW.email) AND id <> OLD.id)
    BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: users.email'); END`,
  tollgate_ledger_unchanged: `BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, '${ledgerRefusal}'); END`,
  tollgate_ledger_undeleted: `BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, '${ledgerRefusal}'); END`,
  tollgate_ledger_unreplaced: `BEFORE INSERT ON ledger
    WHEN EXISTS (SELECT 1 FROM ledger WHERE id = NEW.id AND
      (user_id, kind, amount) IS NOT (NEW.user_id, NEW.kind, NEW.amount))
    BEGIN SELECT RAISE(ABORT, '${ledgerRefusal}'); END`,
  tollgate_keys_limited: `AFTER UPDATE OF limit_credits, spent ON api_keys WHEN ${isKeyEdited('IS NOT', 'IS')}
    BEGIN UPDATE leases SET recall = 'asked' WHERE user_id = NEW.user_id AND key_id = NEW.id; END`,
  tollgate_keys_in_the_way: `BEFORE INSERT ON api_keys
    WHEN EXISTS (SELECT 1 FROM api_keys WHERE id = NEW.id OR hash = NEW.hash)
    BEGIN
      INSERT INTO changes (kind, ref) SELECT 'key', id FROM api_keys WHERE id = NEW.id OR hash = NEW.hash;
      UPDATE leases SET recall = 'asked' WHERE (user_id, key_id) IN
        (SELECT user_id, id FROM api_keys WHERE id = NEW.id OR hash = NEW.hash);
    END`,
  tollgate_identities_in_the_way: `BEFORE INSERT ON identities
    WHEN EXISTS (SELECT 1 FROM identities WHERE issuer = NEW.issuer AND subject = NEW.subject)
    BEGIN
      INSERT INTO changes (kind, ref)
        SELECT 'user', user_id FROM identities WHERE issuer = NEW.issuer AND subject = NEW.subject;
    END`,
};

const sqlite = [
  firstPosted,
  'CREATE TABLE users_in_the_way (id text PRIMARY KEY, posted integer NOT NULL) STRICT',
  ...Object.entries(sqliteTriggers).map(([name, rest]) => `CREATE TRIGGER ${name} ${rest}`),
];
