// The first tables: who owns credits, every credit that ever moved, what calls cost by the hour, keys, and the leases
// by which gateway processes reserve credits. One file serves both dialects; where they differ, both spellings stand
// side by side. The triggers keep the books when somebody edits `users` by hand.

import { type Kysely, sql } from 'kysely';
import { isPostgres } from '../src/store/database.ts';

/** What `down` takes away, for the operator to read before it happens. */
export const drops = [
  'changes',
  'idempotency_keys',
  'leases',
  'instances',
  'api_keys',
  'usage_hourly',
  'ledger',
  'users',
];

/** The largest balance that every part of the program can count exactly: 2^53 − 1. */
const creditsMax = '9007199254740991';

export async function up(db: Kysely<unknown>): Promise<void> {
  const statements = isPostgres(db)
    ? [...tables(postgresTypes), ...postgresTriggers]
    : [...tables(sqliteTypes), ...sqliteTriggers];
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of drops) await db.schema.dropTable(table).execute();
  if (!isPostgres(db)) return;
  for (const name of Object.keys(postgresFunctions)) await sql.raw(`DROP FUNCTION ${name}()`).execute(db);
}

interface Types {
  int: string;
  time: string;
  now: string;
  serial: string;
  id: string;
  strict: string;
}

const postgresTypes: Types = {
  int: 'bigint',
  time: 'timestamptz',
  now: 'now()',
  serial: 'bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY',
  id: `('c' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 23))`,
  strict: '',
};

const sqliteNow = `(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`;

const sqliteTypes: Types = {
  int: 'integer',
  time: 'text',
  now: sqliteNow,
  serial: 'integer PRIMARY KEY AUTOINCREMENT',
  id: `('c' || substr(lower(hex(randomblob(12))), 1, 23))`,
  strict: ' STRICT',
};

function tables(types: Types): string[] {
  return [...usersAndLedger(types), ...usage(types), ...keys(types), ...reservations(types)];
}

function usersAndLedger({ int, time, now, id, strict }: Types): string[] {
  return [
    `CREATE TABLE users (
      id text PRIMARY KEY DEFAULT ${id},
      email text UNIQUE,
      name text NOT NULL,
      picture text,
      plan text NOT NULL DEFAULT 'Basic',
      credits ${int} NOT NULL DEFAULT 5000 CHECK (credits BETWEEN -${creditsMax} AND ${creditsMax}),
      posted ${int} NOT NULL DEFAULT 0,
      created_at ${time} NOT NULL DEFAULT ${now},
      updated_at ${time} NOT NULL DEFAULT ${now},
      blocked_at ${time}
    )${strict}`,
    // One address is one person, however it is capitalised.
    'CREATE UNIQUE INDEX users_email_any_case ON users (lower(email))',
    // No foreign key to users: a charge that was made is booked even when its user is gone.
    `CREATE TABLE ledger (
      id text PRIMARY KEY,
      user_id text NOT NULL,
      kind text NOT NULL CHECK (kind IN ('signup', 'charge', 'grant', 'topup', 'refund', 'adjustment')),
      amount ${int} NOT NULL,
      route text,
      key_id text,
      request_id text,
      status ${int},
      actor text,
      note text,
      created_at ${time} NOT NULL DEFAULT ${now}
    )${strict}`,
    'CREATE INDEX ledger_by_user ON ledger (user_id, id)',
  ];
}

function usage({ int, time, strict }: Types): string[] {
  return [
    `CREATE TABLE usage_hourly (
      user_id text NOT NULL,
      hour ${time} NOT NULL,
      route text NOT NULL,
      calls ${int} NOT NULL,
      charged ${int} NOT NULL,
      failed ${int} NOT NULL,
      refused ${int} NOT NULL,
      PRIMARY KEY (user_id, hour, route)
    )${strict}`,
    'CREATE INDEX usage_hourly_by_hour ON usage_hourly (hour)',
  ];
}

function keys({ int, time, now, serial, strict }: Types): string[] {
  return [
    `CREATE TABLE api_keys (
      id text PRIMARY KEY,
      user_id text NOT NULL REFERENCES users (id),
      name text NOT NULL,
      hash text NOT NULL UNIQUE,
      previous_hash text UNIQUE,
      previous_expires_at ${time},
      hint text NOT NULL,
      limit_credits ${int} CHECK (limit_credits >= 0),
      spent ${int} NOT NULL DEFAULT 0,
      expires_at ${time},
      revoked_at ${time},
      last_used_at ${time},
      created_at ${time} NOT NULL DEFAULT ${now}
    )${strict}`,
    'CREATE INDEX api_keys_by_user ON api_keys (user_id)',
    `CREATE TABLE changes (
      id ${serial},
      kind text NOT NULL,
      ref text NOT NULL,
      at ${time} NOT NULL DEFAULT ${now}
    )${strict}`,
    'CREATE INDEX changes_by_time ON changes (at)',
    `CREATE TABLE idempotency_keys (
      key text PRIMARY KEY,
      user_id text NOT NULL,
      request text NOT NULL,
      entry_id text NOT NULL,
      created_at ${time} NOT NULL DEFAULT ${now}
    )${strict}`,
  ];
}

function reservations({ int, time, now, strict }: Types): string[] {
  const fenced = strict === '' ? 'boolean NOT NULL DEFAULT false' : 'integer NOT NULL DEFAULT 0';
  return [
    `CREATE TABLE instances (
      id text PRIMARY KEY,
      seq ${int} NOT NULL,
      fenced ${fenced},
      started_at ${time} NOT NULL DEFAULT ${now}
    )${strict}`,
    `CREATE TABLE leases (
      user_id text NOT NULL,
      key_id text NOT NULL,
      instance text NOT NULL,
      amount ${int} NOT NULL CHECK (amount >= 0),
      recall text NOT NULL DEFAULT '' CHECK (recall IN ('', 'asked', 'answered')),
      PRIMARY KEY (user_id, key_id, instance)
    )${strict}`,
    'CREATE INDEX leases_by_instance ON leases (instance)',
  ];
}

// A gateway's own write raises `posted` by one and books its own entry. Every other write is somebody's hand: the
// triggers book it, put `posted` back (an ORM saves whole rows, stale counters included), and ask for the leases of
// that user, so that the new balance counts everywhere within a second.

const handNote = 'changed by SQL';
const identityColumns = 'hash, previous_hash, previous_expires_at, limit_credits, expires_at, revoked_at, user_id';
const historyRefusal = 'has history in the ledger and cannot be deleted; block the user instead';
const renameRefusal = 'users.id cannot be changed: the ledger refers to it';

// Entry ids are UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds first, so that ids sort by time like the meter's own.
const postgresFunctions: Record<string, { returns: string; body: string }> = {
  tollgate_entry_id: {
    returns: 'text',
    body: `DECLARE
        ms text := lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0');
        random text := replace(gen_random_uuid()::text, '-', '');
      BEGIN
        RETURN substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7' || substr(random, 14, 3) || '-' ||
          substr(random, 17, 4) || '-' || substr(random, 21, 12);
      END`,
  },
  tollgate_users_guard: {
    returns: 'trigger',
    body: `BEGIN
        IF NEW.id <> OLD.id THEN RAISE EXCEPTION '${renameRefusal}'; END IF;
        NEW.posted := OLD.posted;
        RETURN NEW;
      END`,
  },
  tollgate_users_edited: {
    returns: 'trigger',
    body: `BEGIN
        INSERT INTO ledger (id, user_id, kind, amount, actor, note)
          VALUES (tollgate_entry_id(), NEW.id, 'adjustment', NEW.credits - OLD.credits, 'sql:' || session_user, '${handNote}');
        UPDATE leases SET recall = 'asked' WHERE user_id = NEW.id;
        RETURN NULL;
      END`,
  },
  tollgate_users_inserted: {
    returns: 'trigger',
    body: `DECLARE
        booked bigint;
        entries bigint;
      BEGIN
        SELECT coalesce(sum(amount), 0)::bigint, count(*) INTO booked, entries FROM ledger WHERE user_id = NEW.id;
        IF NEW.credits <> booked THEN
          INSERT INTO ledger (id, user_id, kind, amount, actor, note)
            VALUES (tollgate_entry_id(), NEW.id, CASE WHEN entries = 0 THEN 'signup' ELSE 'adjustment' END,
              NEW.credits - booked, 'sql:' || session_user, '${handNote}');
        END IF;
        UPDATE leases SET recall = 'asked' WHERE user_id = NEW.id;
        RETURN NULL;
      END`,
  },
  tollgate_users_deleted: {
    returns: 'trigger',
    body: `BEGIN
        IF EXISTS (SELECT 1 FROM ledger WHERE user_id = OLD.id) THEN
          RAISE EXCEPTION 'user % ${historyRefusal}', OLD.id;
        END IF;
        DELETE FROM api_keys WHERE user_id = OLD.id;
        RETURN OLD;
      END`,
  },
  tollgate_users_changed: {
    returns: 'trigger',
    body: `BEGIN INSERT INTO changes (kind, ref) VALUES ('user', NEW.id); RETURN NULL; END`,
  },
  tollgate_keys_changed: {
    returns: 'trigger',
    body: `BEGIN INSERT INTO changes (kind, ref) VALUES ('key', OLD.id); RETURN NULL; END`,
  },
};

const postgresTriggers = [
  ...Object.entries(postgresFunctions).map(
    ([name, { returns, body }]) =>
      // FROM CURRENT keeps the schema: a hand-made edit may come with any search_path.
      `CREATE FUNCTION ${name}() RETURNS ${returns} LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ ${body} $$`,
  ),
  `CREATE TRIGGER tollgate_users_guard BEFORE UPDATE ON users FOR EACH ROW
    WHEN (NEW.posted <> OLD.posted + 1 OR NEW.id <> OLD.id) EXECUTE FUNCTION tollgate_users_guard()`,
  `CREATE TRIGGER tollgate_users_edited AFTER UPDATE ON users FOR EACH ROW
    WHEN (NEW.credits <> OLD.credits AND NEW.posted <> OLD.posted + 1) EXECUTE FUNCTION tollgate_users_edited()`,
  `CREATE TRIGGER tollgate_users_inserted AFTER INSERT ON users FOR EACH ROW
    WHEN (NEW.posted = 0) EXECUTE FUNCTION tollgate_users_inserted()`,
  `CREATE TRIGGER tollgate_users_deleted BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION tollgate_users_deleted()`,
  `CREATE TRIGGER tollgate_users_changed AFTER UPDATE ON users FOR EACH ROW
    WHEN (NEW.blocked_at IS DISTINCT FROM OLD.blocked_at OR NEW.plan <> OLD.plan)
    EXECUTE FUNCTION tollgate_users_changed()`,
  `CREATE TRIGGER tollgate_keys_changed AFTER UPDATE OF ${identityColumns} ON api_keys FOR EACH ROW
    EXECUTE FUNCTION tollgate_keys_changed()`,
  `CREATE TRIGGER tollgate_keys_deleted AFTER DELETE ON api_keys FOR EACH ROW EXECUTE FUNCTION tollgate_keys_changed()`,
];

// julianday instead of unixepoch('subsec'): older SQLite shells, with which people edit by hand, know it too.
const sqliteEntryId = `(SELECT substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7' || substr(r, 1, 3) || '-' ||
    substr('89ab', 1 + (abs(random()) % 4), 1) || substr(r, 4, 3) || '-' || substr(r, 7, 12)
  FROM (SELECT printf('%012x', CAST(round((julianday('now') - 2440587.5) * 86400000) AS integer)) AS ms,
    lower(hex(randomblob(9))) AS r))`;

const sqliteTriggers = [
  `CREATE TRIGGER tollgate_users_guard BEFORE UPDATE OF id ON users WHEN NEW.id <> OLD.id
    BEGIN SELECT RAISE(ABORT, '${renameRefusal}'); END`,
  // Putting `posted` back does not name `credits`, so it does not fire this trigger again.
  `CREATE TRIGGER tollgate_users_edited AFTER UPDATE OF credits ON users
    WHEN NEW.credits <> OLD.credits AND NEW.posted <> OLD.posted + 1
    BEGIN
      INSERT INTO ledger (id, user_id, kind, amount, actor, note)
        VALUES (${sqliteEntryId}, NEW.id, 'adjustment', NEW.credits - OLD.credits, 'sql', '${handNote}');
      UPDATE users SET posted = OLD.posted WHERE id = NEW.id;
      UPDATE leases SET recall = 'asked' WHERE user_id = NEW.id;
    END`,
  `CREATE TRIGGER tollgate_users_inserted AFTER INSERT ON users WHEN NEW.posted = 0
    BEGIN
      INSERT INTO ledger (id, user_id, kind, amount, actor, note)
        SELECT ${sqliteEntryId}, NEW.id, CASE WHEN entries = 0 THEN 'signup' ELSE 'adjustment' END,
          NEW.credits - booked, 'sql', '${handNote}'
        FROM (SELECT coalesce(sum(amount), 0) AS booked, count(*) AS entries FROM ledger WHERE user_id = NEW.id)
        WHERE NEW.credits <> booked;
      UPDATE leases SET recall = 'asked' WHERE user_id = NEW.id;
    END`,
  `CREATE TRIGGER tollgate_users_deleted BEFORE DELETE ON users
    BEGIN
      SELECT RAISE(ABORT, 'the user ${historyRefusal}') WHERE EXISTS (SELECT 1 FROM ledger WHERE user_id = OLD.id);
      DELETE FROM api_keys WHERE user_id = OLD.id;
    END`,
  `CREATE TRIGGER tollgate_users_changed AFTER UPDATE OF blocked_at, plan ON users
    WHEN NEW.blocked_at IS NOT OLD.blocked_at OR NEW.plan <> OLD.plan
    BEGIN INSERT INTO changes (kind, ref) VALUES ('user', NEW.id); END`,
  `CREATE TRIGGER tollgate_keys_changed AFTER UPDATE OF ${identityColumns} ON api_keys
    BEGIN INSERT INTO changes (kind, ref) VALUES ('key', OLD.id); END`,
  `CREATE TRIGGER tollgate_keys_deleted AFTER DELETE ON api_keys
    BEGIN INSERT INTO changes (kind, ref) VALUES ('key', OLD.id); END`,
];
