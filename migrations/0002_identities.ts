// By what people and programs are known elsewhere: an identity is a subject of an issuer and belongs to one user. What
// changes here is noted for every gateway, like changed keys and users, so that nothing remembered outlives it.

import { type Kysely, sql } from 'kysely';
import { isPostgres } from '../src/store/database.ts';

/** What `down` takes away, for the operator to read before it happens. */
export const drops = ['identities'];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of isPostgres(db) ? postgres : sqlite) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  // On SQLite a trigger on another table would stay behind and name a table that is gone.
  if (!isPostgres(db)) await sql`DROP TRIGGER tollgate_users_identities`.execute(db);
  await db.schema.dropTable('identities').execute();
  if (!isPostgres(db)) return;
  await sql`DROP TRIGGER tollgate_users_identities ON users`.execute(db);
  for (const name of Object.keys(postgresFunctions)) await sql.raw(`DROP FUNCTION ${name}()`).execute(db);
}

const identitiesOf = (time: string, now: string, strict: string) => [
  `CREATE TABLE identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id text NOT NULL REFERENCES users (id),
    created_at ${time} NOT NULL DEFAULT ${now},
    PRIMARY KEY (issuer, subject)
  )${strict}`,
  'CREATE INDEX identities_by_user ON identities (user_id)',
];

const postgresFunctions: Record<string, string> = {
  // A user without history goes with everything by which the user is known.
  tollgate_users_identities: 'BEGIN DELETE FROM identities WHERE user_id = OLD.id; RETURN OLD; END',
  tollgate_identities_changed: `BEGIN INSERT INTO changes (kind, ref) VALUES ('user', OLD.user_id); RETURN NULL; END`,
};

const postgres = [
  ...identitiesOf('timestamptz', 'now()', ''),
  ...Object.entries(postgresFunctions).map(
    ([name, body]) =>
      // FROM CURRENT keeps the schema: a hand-made edit may come with any search_path.
      `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ ${body} $$`,
  ),
  `CREATE TRIGGER tollgate_users_identities BEFORE DELETE ON users FOR EACH ROW
    EXECUTE FUNCTION tollgate_users_identities()`,
  `CREATE TRIGGER tollgate_identities_changed AFTER UPDATE OR DELETE ON identities FOR EACH ROW
    EXECUTE FUNCTION tollgate_identities_changed()`,
];

const sqlite = [
  ...identitiesOf('text', `(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`, ' STRICT'),
  `CREATE TRIGGER tollgate_users_identities BEFORE DELETE ON users
    BEGIN DELETE FROM identities WHERE user_id = OLD.id; END`,
  `CREATE TRIGGER tollgate_identities_updated AFTER UPDATE ON identities
    BEGIN INSERT INTO changes (kind, ref) VALUES ('user', OLD.user_id); END`,
  `CREATE TRIGGER tollgate_identities_deleted AFTER DELETE ON identities
    BEGIN INSERT INTO changes (kind, ref) VALUES ('user', OLD.user_id); END`,
];
