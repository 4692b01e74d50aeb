import t from 'tap';
import { bookOnce, type Claim, type ClaimedRequest } from '../../src/store/claims.ts';
import { type Booking, deductUserCredits, getUserCredits, grantCredits, setCredits } from '../../src/store/credits.ts';
import { type Db, transact } from '../../src/store/database.ts';
import { dialects, migratedDatabase } from '../helpers/databases.ts';
import { until } from '../helpers/until.ts';
import { amountsOf, userWith } from '../helpers/users.ts';

const actor = 'test';

for (const dialect of dialects) {
  t.test(
    `${dialect}: a request that comes again is answered as it was, also where nothing was to be changed`,
    async (t) => {
      const { db } = (await migratedDatabase(t, dialect)).database;
      const { id: userId } = await userWith(db, 10);
      const request = { key: 'k', userId, request: 'set 10' };
      const set = (claim: Claim) => transact(db, (trx) => setCredits(trx, userId, 10, { actor, claim }));
      const first = await bookOnce(db, request, set);
      t.match(first, { entryId: null, balance: 10, isRepeat: false });
      await transact(db, (trx) => grantCredits(trx, userId, 5, { actor }));
      t.same(await bookOnce(db, request, set), { ...first, isRepeat: true });
      t.equal(await getUserCredits(db, userId), 15);
      await t.rejects(bookOnce(db, { ...request, request: 'set 11' }, set), { code: 'IDEMPOTENCY_KEY_USED' });
      await t.rejects(bookOnce(db, { ...request, userId: 'another' }, set), { code: 'IDEMPOTENCY_KEY_USED' });
    },
  );

  t.test(`${dialect}: while a request is under way the same is refused, and waits where it wants to`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id: userId } = await userWith(db, 10);
    const request = { key: 'k', userId, request: 'grant 5' };
    const pause = withResolvers();
    const first = bookOnce(db, request, async (claim) => {
      await pause.promise;
      return grant(db, userId, 5, claim);
    });
    await claimIsThere(db);
    await t.rejects(bookOnce(db, request, notAgain), { code: 'IDEMPOTENCY_KEY_BUSY' });
    const patient = bookOnce(db, request, notAgain, { waitMs: 10_000 });
    pause.resolve();
    t.match(await first, { balance: 15, isRepeat: false });
    t.match(await patient, { balance: 15, isRepeat: true });
    t.same((await amountsOf(db, userId)).sort(), [10, 5]);
  });

  t.test(
    `${dialect}: what was refused has changed nothing and is tried anew; what has failed stays claimed`,
    async (t) => {
      const { db } = (await migratedDatabase(t, dialect)).database;
      const { id: userId } = await userWith(db, 10);
      const request = { key: 'k', userId, request: 'deduct 11' };
      const deduct = (claim: Claim) => deductUserCredits(db, userId, 11, { actor, claim });
      await t.rejects(bookOnce(db, request, deduct), { code: 'CREDITS_INSUFFICIENT' });
      await transact(db, (trx) => grantCredits(trx, userId, 1, { actor }));
      t.match(await bookOnce(db, request, deduct), { amount: -11, balance: 0, isRepeat: false });
      const failing = { key: 'k2', userId, request: 'grant 5' };
      await t.rejects(
        bookOnce(db, failing, async () => Promise.reject(new Error('cut off'))),
        { message: 'cut off' },
      );
      await t.rejects(bookOnce(db, failing, notAgain), { code: 'IDEMPOTENCY_KEY_BUSY' });
    },
  );

  t.test(`${dialect}: what a dead process has left is taken over, and is booked once though it lives`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id: userId } = await userWith(db, 10);
    const request = { key: 'k', userId, request: 'grant 5' };
    const { pause, paused } = await pausedAfterClaim(db, request, (claim) => grant(db, userId, 5, claim));
    const { entryId } = await db.selectFrom('idempotency_keys').select('entry_id as entryId').executeTakeFirstOrThrow();
    t.match(await bookOnce(db, request, (claim) => grant(db, userId, 5, claim)), { entryId, balance: 15 });
    pause.resolve();
    t.match(await paused, { entryId, balance: 15, isRepeat: true }, 'who is late hears what was booked');
    t.equal(await getUserCredits(db, userId), 15);
    t.match(await bookOnce(db, request, notAgain), { entryId, balance: 15, isRepeat: true });
  });

  t.test(
    `${dialect}: who was taken for dead hears that the other has booked, and not that it was refused`,
    async (t) => {
      const { db } = (await migratedDatabase(t, dialect)).database;
      const { id: userId } = await userWith(db, 10);
      const request = { key: 'k', userId, request: 'deduct 6' };
      const deduct = (claim: Claim) => deductUserCredits(db, userId, 6, { actor, claim });
      const { pause, paused } = await pausedAfterClaim(db, request, deduct);
      t.match(await bookOnce(db, request, deduct), { amount: -6, balance: 4, isRepeat: false });
      pause.resolve();
      t.match(await paused, { amount: -6, balance: 4, isRepeat: true });
    },
  );

  t.test(`${dialect}: whose claim was taken over and freed books nothing`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id: userId } = await userWith(db, 10);
    const request = { key: 'k', userId, request: 'deduct 11' };
    const deduct = (claim: Claim) => deductUserCredits(db, userId, 11, { actor, claim });
    const { pause, paused } = await pausedAfterClaim(db, request, deduct);
    await t.rejects(bookOnce(db, request, deduct), { code: 'CREDITS_INSUFFICIENT' });
    await transact(db, (trx) => grantCredits(trx, userId, 90, { actor }));
    pause.resolve();
    await t.rejects(paused, { code: 'IDEMPOTENCY_KEY_BUSY' });
    t.match(await bookOnce(db, request, deduct), { balance: 89, isRepeat: false });
    t.same((await amountsOf(db, userId)).sort(), [-11, 10, 90]);
  });

  t.test(`${dialect}: answers are kept for 30 days`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id: userId } = await userWith(db, 10);
    for (const [key, days] of [
      ['old', 31],
      ['young', 29],
    ] as const) {
      await bookOnce(db, { key, userId, request: key }, (claim) => grant(db, userId, 1, claim));
      const at = new Date(Date.now() - days * 86_400_000).toISOString();
      await db.updateTable('idempotency_keys').set({ created_at: at }).where('key', '=', key).execute();
    }
    await bookOnce(db, { key: 'new', userId, request: 'new' }, (claim) => grant(db, userId, 1, claim));
    const kept = await db.selectFrom('idempotency_keys').select('key').orderBy('key').execute();
    t.same(kept, [{ key: 'new' }, { key: 'young' }]);
  });
}

function grant(db: Db, userId: string, amount: number, claim: Claim) {
  return transact(db, (trx) => grantCredits(trx, userId, amount, { actor, claim }));
}

async function notAgain(): Promise<never> {
  throw new Error('it was carried out again');
}

async function claimIsThere(db: Db): Promise<void> {
  await until(
    () => db.selectFrom('idempotency_keys').selectAll().execute(),
    (claims) => claims.length === 1,
  );
}

/** A request that stands still once it is claimed, for so long that it is taken for dead. */
async function pausedAfterClaim(db: Db, request: ClaimedRequest, book: (claim: Claim) => Promise<Booking>) {
  const pause = withResolvers();
  const paused = bookOnce(db, request, async (claim) => {
    await pause.promise;
    return book(claim);
  });
  await claimIsThere(db);
  const longAgo = new Date(Date.now() - 11_000).toISOString();
  await db.updateTable('idempotency_keys').set({ created_at: longAgo }).execute();
  return { pause, paused };
}

/** Like Promise.withResolvers, which Node 20 does not have. */
function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
