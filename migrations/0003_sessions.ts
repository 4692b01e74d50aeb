// Sessions of people who have signed in. Only the hash of what their cookie holds is kept. A session that ends is noted for
// every gateway, like changed keys and users.

import { type Kysely, sql } from 'kysely';
import { isPostgres } from '../src/store/database.ts';

/** What `down` takes away, for the operator to read before it happens. */
export const drops = ['sessions'];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of isPostgres(db) ? postgres : sqlite) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  // On SQLite a trigger on another table would stay behind and name a table that is gone.
  if (!isPostgres(db)) await sql`DROP TRIGGER tollgate_users_sessions`.execute(db);
  await db.schema.dropTable('sessions').execute();
  if (!isPostgres(db)) return;
  await sql`DROP TRIGGER tollgate_users_sessions ON users`.execute(db);
  for (const name of Object.keys(postgresFunctions)) await sql.raw(`DROP FUNCTION ${name}()`).execute(db);
}

const sessionsOf = (time: string, now: string, strict: string) => [
  `CREATE TABLE sessions (
    hash text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users (id),
    provider text NOT NULL,
    vouched_email text,
    created_at ${time} NOT NULL DEFAULT ${now},
    used_at ${time} NOT NULL DEFAULT ${now},
    expires_at ${time} NOT NULL
  )${strict}`,
  'CREATE INDEX sessions_by_user ON sessions (user_id)',
  'CREATE INDEX sessions_by_end ON sessions (expires_at)',
];

const postgresFunctions: Record<string, string> = {
  tollgate_users_sessions: 'BEGIN DELETE FROM sessions WHERE user_id = OLD.id; RETURN OLD; END',
  tollgate_sessions_ended: `BEGIN INSERT INTO changes (kind, ref) VALUES ('session', OLD.hash); RETURN NULL; END`,
};

const postgres = [
  ...sessionsOf('timestamptz', 'now()', ''),
  ...Object.entries(postgresFunctions).map(
    ([name, body]) =>
      // FROM CURRENT keeps the schema: a hand-made edit may come with any search_path.
      `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ ${body} $$`,
  ),
  `CREATE TRIGGER tollgate_users_sessions BEFORE DELETE ON users FOR EACH ROW
    EXECUTE FUNCTION tollgate_users_sessions()`,
  `CREATE TRIGGER tollgate_sessions_ended AFTER DELETE ON sessions FOR EACH ROW
    EXECUTE FUNCTION tollgate_sessions_ended()`,
  `CREATE TRIGGER tollgate_sessions_changed AFTER UPDATE OF user_id, expires_at ON sessions FOR EACH ROW
    EXECUTE FUNCTION tollgate_sessions_ended()`,
];

const sqlite = [
  ...sessionsOf('text', `(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`, ' STRICT'),
  `CREATE TRIGGER tollgate_users_sessions BEFORE DELETE ON users
    BEGIN DELETE FROM sessions WHERE user_id = OLD.id; END`,
  `CREATE TRIGGER tollgate_sessions_ended AFTER DELETE ON sessions
    BEGIN INSERT INTO changes (kind, ref) VALUES ('session', OLD.hash); END`,
  `CREATE TRIGGER tollgate_sessions_changed AFTER UPDATE OF user_id, expires_at ON sessions
    BEGIN INSERT INTO changes (kind, ref) VALUES ('session', OLD.hash); END`,
];
