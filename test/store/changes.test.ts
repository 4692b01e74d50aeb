// What changed reaches every instance once, whenever it was committed.

import { sql } from 'kysely';
import t from 'tap';
import type { Database } from '../../src/store/database.ts';
import { exchange, type SyncReply } from '../../src/store/sync/exchange.ts';
import { withClient } from '../helpers/copy.ts';
import { dialects, migratedDatabase } from '../helpers/databases.ts';
import { addInstance, addKey, addUser } from '../helpers/meters.ts';

for (const dialect of dialects) {
  t.test(`${dialect}: a change is told once to each instance, and again where the reply was not heard`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    await addUser(database, 'u', 1);
    await addKey(database, 'k', 'u', null);
    const [one, other] = [await listener(database), await listener(database)];
    t.equal((await one()).changes, null, 'without a mark anything may have changed');
    await other();
    await sql`UPDATE api_keys SET revoked_at = created_at`.execute(database.db);
    t.match((await one({ isHeard: false })).changes, [{ kind: 'key', ref: 'k' }]);
    t.match((await one()).changes, [{ kind: 'key', ref: 'k' }]);
    t.same((await one()).changes, []);
    await sql`UPDATE users SET blocked_at = created_at`.execute(database.db);
    t.match((await one()).changes, [{ kind: 'user', ref: 'u' }]);
    t.match(await other().then(({ changes }) => changes), [{ ref: 'k' }, { ref: 'u' }]);
  });

  t.test(`${dialect}: more changes than can be told one by one are told as everything`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    const users = Array.from({ length: 1_001 }, (_, i) => ({ id: `u${i}`, name: 'n', credits: 0 }));
    await database.db.insertInto('users').values(users).execute();
    const listen = await listener(database);
    await listen();
    await sql`UPDATE users SET plan = 'Other' WHERE id <> 'u0'`.execute(database.db);
    t.equal((await listen()).changes?.length, 1_000);
    await sql`UPDATE users SET plan = 'Another'`.execute(database.db);
    t.equal((await listen()).changes, null);
    t.same((await listen()).changes, []);
  });
}

t.test('postgres: a change is told however long ago its transaction began, and whatever came in between', async (t) => {
  const test = await migratedDatabase(t, 'postgres');
  const { database } = test;
  await addUser(database, 'u', 1);
  for (const id of ['early', 'late']) await addKey(database, id, 'u', null);
  const listen = await listener(database);
  await listen();
  await withClient(test, async (client) => {
    await client.query(`BEGIN`);
    await client.query(`UPDATE api_keys SET revoked_at = now() WHERE id = 'early'`);
    // As if it had been open since yesterday: the time of a change is that of the beginning of its transaction.
    await client.query(`UPDATE changes SET at = at - interval '1 day'`);
    await sql`UPDATE api_keys SET revoked_at = now() WHERE id = 'late'`.execute(database.db);
    t.match((await listen()).changes, [{ ref: 'late' }]);
    t.same((await listen()).changes, []);
    await client.query('COMMIT');
  });
  t.match((await listen()).changes, [{ ref: 'early' }]);
  t.same((await listen()).changes, []);
});

t.test('postgres: changes that a dump has brought from elsewhere are told to nobody all the time', async (t) => {
  const { database } = await migratedDatabase(t, 'postgres');
  const listen = await listener(database);
  await listen();
  await sql`INSERT INTO changes (kind, ref, xid) VALUES ('user', 'u', '9000000000')`.execute(database.db);
  t.same((await listen()).changes, []);
});

/** Exchanges as an instance that has nothing to say. What is not heard leaves the mark where it was. */
async function listener(database: Database): Promise<(how?: { isHeard: boolean }) => Promise<SyncReply>> {
  const instance = await addInstance(database);
  let seq = 0;
  let since: string | null = null;
  return async ({ isHeard } = { isHeard: true }) => {
    seq += 1;
    const reply = await exchange(database, { instance, seq, charges: [], leases: [], tallies: [], since }, 'wait');
    if (reply.stale) throw new Error('stale');
    if (isHeard) since = reply.mark;
    return reply;
  };
}
