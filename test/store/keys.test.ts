import t from 'tap';
import { keyFinder } from '../../src/store/identities.ts';
import { createKey, listKeys, revokeKey, rotateKey } from '../../src/store/keys.ts';
import { dialects, migratedDatabase } from '../helpers/databases.ts';
import { userWith } from '../helpers/users.ts';

const first = { hash: 'hash 1', hint: 'tg_111111' };
const second = { hash: 'hash 2', hint: 'tg_222222' };
const third = { hash: 'hash 3', hint: 'tg_333333' };

for (const dialect of dialects) {
  t.test(`${dialect}: a key is kept by its hash, with its terms, and shown without it`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const user = await userWith(db, 5);
    const expiresAt = '2099-01-01T00:00:00.000Z';
    const key = await createKey(db, { userId: user.id, name: 'ci', limit: 100, expiresAt }, first);
    t.match(key, { userId: user.id, name: 'ci', hint: first.hint, limit: 100, spent: 0, expiresAt, revokedAt: null });
    t.match(key.id, /^key_[a-z0-9]{24}$/);
    t.same(await listKeys(db, user.id), [key]);
    t.notMatch(JSON.stringify(key), first.hash);
    t.match(await db.selectFrom('api_keys').selectAll().execute(), [{ id: key.id, hash: first.hash }]);
  });

  t.test(`${dialect}: a revoked key is noted for the gateways, once, and keeps its time`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const user = await userWith(db, 5);
    const { id } = await createKey(db, { userId: user.id, name: 'ci', limit: null, expiresAt: null }, first);
    const revoke = () => db.transaction().execute((trx) => revokeKey(trx, id));
    const revoked = await revoke();
    t.match(revoked.revokedAt, /^\d{4}-.*Z$/);
    t.same(await revoke(), revoked);
    t.same(await db.selectFrom('changes').select(['kind', 'ref']).execute(), [{ kind: 'key', ref: id }]);
    await t.rejects(
      db.transaction().execute((trx) => revokeKey(trx, 'key_x')),
      { code: 'KEY_NOT_FOUND' },
    );
  });

  t.test(
    `${dialect}: keys that are asked for in one turn are read with one statement, each for who asked`,
    async (t) => {
      const { db } = (await migratedDatabase(t, dialect)).database;
      const user = await userWith(db, 5);
      const keys = [];
      for (const digest of [first, second]) {
        keys.push(await createKey(db, { userId: user.id, name: 'ci', limit: null, expiresAt: null }, digest));
      }
      let statements = 0;
      const find = keyFinder(
        db.withPlugin({
          transformQuery: ({ node }) => {
            statements += 1;
            return node;
          },
          transformResult: async ({ result }) => result,
        }),
      );
      const found = await Promise.all([find(first.hash), find(third.hash), find(second.hash), find(first.hash)]);
      t.same(
        found.map((identity) => identity?.keyId ?? null),
        [keys[0]?.id, null, keys[1]?.id, keys[0]?.id],
      );
      t.equal(statements, 1);
      t.match(await find(second.hash), { keyId: keys[1]?.id });
      t.equal(statements, 2);
    },
  );

  t.test(`${dialect}: a rotation keeps limit, spending and expiry; the old key ends at once or after`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const user = await userWith(db, 5);
    const { id } = await createKey(db, { userId: user.id, name: 'ci', limit: 9, expiresAt: null }, first);
    await db.updateTable('api_keys').set({ spent: 4 }).execute();
    const rotate = (key: typeof first, overlapMs: number) =>
      db.transaction().execute((trx) => rotateKey(trx, id, key, overlapMs));
    const kept = { id, name: 'ci', limit: 9, spent: 4 };

    const overlapping = await rotate(second, 3_600_000);
    t.match(overlapping, { ...kept, hint: second.hint });
    const leftMs = Date.parse(overlapping.previousExpiresAt ?? '') - Date.now();
    t.ok(leftMs > 3_500_000 && leftMs <= 3_600_000, `${leftMs} ms`);
    const hashes = db.selectFrom('api_keys').select(['hash', 'previous_hash']);
    t.same(await hashes.execute(), [{ hash: second.hash, previous_hash: first.hash }]);

    t.match(await rotate(third, 0), { ...kept, hint: third.hint, previousExpiresAt: null });
    t.same(await hashes.execute(), [{ hash: third.hash, previous_hash: null }]);
    t.same(await db.selectFrom('changes').select('ref').execute(), [{ ref: id }, { ref: id }]);
  });

  t.test(`${dialect}: a revoked, expired or unknown key cannot be rotated`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const user = await userWith(db, 5);
    const terms = { userId: user.id, name: 'ci', limit: null };
    const revoked = await createKey(db, { ...terms, expiresAt: null }, first);
    const expired = await createKey(db, { ...terms, expiresAt: '2001-01-01T00:00:00.000Z' }, second);
    await db.transaction().execute((trx) => revokeKey(trx, revoked.id));
    const rotate = (id: string) => db.transaction().execute((trx) => rotateKey(trx, id, third, 0));
    await t.rejects(rotate(revoked.id), { code: 'KEY_REVOKED' });
    await t.rejects(rotate(expired.id), { code: 'KEY_EXPIRED' });
    await t.rejects(rotate('key_x'), { code: 'KEY_NOT_FOUND' });
  });
}
