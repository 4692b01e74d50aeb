import t from 'tap';
import { bookOnce, type Claim } from '../../src/store/claims.ts';
import {
  checkUserCredits,
  deductUserCredits,
  getReservedCredits,
  getUserCredits,
  grantCredits,
  setCredits,
} from '../../src/store/credits.ts';
import type { Db, Trx } from '../../src/store/database.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { amountsOf, leaseOf, userWith } from '../helpers/users.ts';

const actor = 'cli:test';
const largest = Number.MAX_SAFE_INTEGER;

for (const dialect of dialects) {
  t.test(`${dialect}: a grant is one entry and one change of the balance`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 10);
    const booking = await inTransaction(db, (trx) =>
      grantCredits(trx, id, 90, { actor, kind: 'topup', note: 'invoice 7' }),
    );
    t.match(booking, { userId: id, kind: 'topup', amount: 90, balance: 100 });
    t.equal(await getUserCredits(db, id), 100);
    const entry = await db.selectFrom('ledger').selectAll().where('id', '=', booking.entryId).executeTakeFirst();
    t.match(entry, { user_id: id, kind: 'topup', amount: 90, actor, note: 'invoice 7' });
    t.same((await amountsOf(db, id)).sort(), [10, 90], 'the triggers booked nothing beside it');
  });

  t.test(`${dialect}: every change asks the leases of the user back, so that gateways hear of it`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 10);
    await leaseOf(db, id, 5);
    await inTransaction(db, (trx) => grantCredits(trx, id, 1, { actor }));
    t.same(await db.selectFrom('leases').select(['amount', 'recall']).execute(), [{ amount: 5, recall: 'asked' }]);
  });

  t.test(`${dialect}: a check compares with the balance`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 10);
    t.same(await checkUserCredits(db, id, 10), { credits: 10, sufficient: true });
    t.same(await checkUserCredits(db, id, 11), { credits: 10, sufficient: false });
  });

  t.test(`${dialect}: a user who is not there is refused by name`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const refusal = { code: 'USER_NOT_FOUND', message: 'There is no user "nobody"' };
    await t.rejects(getUserCredits(db, 'nobody'), refusal);
    await t.rejects(checkUserCredits(db, 'nobody', 1), refusal);
    await t.rejects(deductUserCredits(db, 'nobody', 1, { actor }), refusal);
    await t.rejects(
      inTransaction(db, (trx) => setCredits(trx, 'nobody', 1, { actor })),
      refusal,
    );
  });

  t.test(`${dialect}: the same idempotency key grants once, and refuses another request`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 0);
    const other = await userWith(db, 0);
    const grant = (userId: string, amount: number) => grantOnce(db, 'k1', userId, amount);
    const first = await grant(id, 50);
    t.match(first, { amount: 50, balance: 50, isRepeat: false });
    t.same(await grant(id, 50), { ...first, isRepeat: true });
    await t.rejects(grant(id, 51), { code: 'IDEMPOTENCY_KEY_USED' });
    await t.rejects(grant(other.id, 50), { code: 'IDEMPOTENCY_KEY_USED' });
    t.equal(await getUserCredits(db, id), 50);
    t.same(await amountsOf(db, id), [50]);
  });

  t.test(`${dialect}: twenty grants at once with one idempotency key are one grant`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { id } = await userWith(test.database.db, 0);
    const second = openAgain(t, test);
    const grants = await Promise.all(
      Array.from({ length: 20 }, (_, i) => grantOnce(i % 2 === 0 ? test.database.db : second.db, 'k1', id, 5)),
    );
    t.equal(new Set(grants.map(({ entryId }) => entryId)).size, 1);
    t.equal(grants.filter(({ isRepeat }) => !isRepeat).length, 1);
    t.equal(await getUserCredits(test.database.db, id), 5);
  });

  t.test(`${dialect}: a deduction stops at 0, however many run at once`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { db } = test.database;
    const { id } = await userWith(db, 10);
    const second = openAgain(t, test);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => deductUserCredits(i % 2 === 0 ? db : second.db, id, 3, { actor })),
    );
    t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 3);
    for (const outcome of outcomes) if (outcome.status === 'rejected') t.match(outcome.reason, insufficient);
    t.equal(await getUserCredits(db, id), 1);
    t.same((await amountsOf(db, id)).sort(), [-3, -3, -3, 10]);
  });

  t.test(`${dialect}: a deduction leaves alone what running gateways have reserved`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 10);
    await leaseOf(db, id, 4);
    await leaseOf(db, id, 100, true);
    t.equal(await getReservedCredits(db, id), 4, 'a fenced instance reserves nothing');
    t.match(await deductUserCredits(db, id, 6, { actor }), { kind: 'adjustment', amount: -6, balance: 4 });
  });

  t.test(`${dialect}: a deduction waits for a running gateway to give its lease back`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { id } = await userWith(test.database.db, 10);
    await leaseOf(test.database.db, id, 4);
    const deduction = deductUserCredits(test.database.db, id, 10, { actor });
    await giveBackWhenAsked(openAgain(t, test).db, id);
    t.match(await deduction, { amount: -10, balance: 0 });
  });

  t.test(`${dialect}: a deduction that only leases forbid says so in the end, and changes nothing`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 10);
    await leaseOf(db, id, 4);
    const message = 'The balance is 10, but 4 of it are reserved by calls in flight';
    await t.rejects(deductUserCredits(db, id, 7, { actor }), { code: 'CREDITS_RESERVED', message });
    t.same(await amountsOf(db, id), [10]);
    t.match(await deductUserCredits(db, id, 7, { actor, isForced: true }), { balance: 3 });
  });

  t.test(`${dialect}: a forced deduction may go below 0`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 10);
    t.match(await deductUserCredits(db, id, 11, { actor, isForced: true }), { amount: -11, balance: -1 });
    t.equal(await getUserCredits(db, id), -1);
  });

  t.test(`${dialect}: setting books the difference, compares first where asked, and books no nothing`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 10);
    const set = (credits: number, ifCurrent?: number) =>
      inTransaction(db, (trx) => setCredits(trx, id, credits, { actor, ifCurrent }));
    t.match(await set(4, 10), { kind: 'adjustment', amount: -6, balance: 4 });
    await t.rejects(set(100, 10), { code: 'CREDITS_CHANGED', message: 'The balance is 4, not 10' });
    t.match(await set(4), { entryId: null, amount: 0, balance: 4 });
    t.same((await amountsOf(db, id)).sort(), [-6, 10]);
  });

  t.test(`${dialect}: a balance that could not be counted exactly is refused`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { id } = await userWith(db, 10);
    const outOfRange = { code: 'CREDITS_OUT_OF_RANGE' };
    const grant = (amount: number) => inTransaction(db, (trx) => grantCredits(trx, id, amount, { actor }));
    await t.rejects(grant(largest - 9), outOfRange);
    t.match(await grant(largest - 10), { balance: largest });
    await t.rejects(grant(1), outOfRange);
    t.equal(await getUserCredits(db, id), largest);
  });
}

const insufficient = { code: 'CREDITS_INSUFFICIENT', message: 'The balance is 1, less than 3' };

function inTransaction<T>(db: Db, work: (trx: Trx) => Promise<T>): Promise<T> {
  return db.transaction().execute(work);
}

/** What a gateway does: sees that its lease is asked for, and keeps only what is in use. */
async function giveBackWhenAsked(db: Db, userId: string): Promise<void> {
  const deadline = performance.now() + 2_000;
  while (performance.now() < deadline) {
    const answered = await db
      .updateTable('leases')
      .set({ amount: 0, recall: 'answered' })
      .where('user_id', '=', userId)
      .where('recall', '=', 'asked')
      .executeTakeFirst();
    if (answered.numUpdatedRows > 0n) return;
  }
  throw new Error('the lease was not asked for');
}

/** A grant that waits for the same one, should that be under way. */
function grantOnce(db: Db, key: string, userId: string, amount: number) {
  const book = (claim: Claim) => inTransaction(db, (trx) => grantCredits(trx, userId, amount, { actor, claim }));
  return bookOnce(db, { key, userId, request: String(amount) }, book, { waitMs: 10_000 });
}
