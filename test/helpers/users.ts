// Users and leases for store tests, made through the front door where there is one.

import { sql } from 'kysely';
import type { Db } from '../../src/store/database.ts';
import { createUser, type User } from '../../src/store/users.ts';

/** A user with these starting credits. */
export function userWith(db: Db, credits: number, email: string | null = null): Promise<User> {
  return db.transaction().execute((trx) => createUser(trx, { email, name: null, plan: 'Basic', credits }, 'test'));
}

/** A lease of the user's credits, held by an instance that is live or fenced. */
export async function leaseOf(db: Db, userId: string, amount: number, isFenced = false): Promise<void> {
  const instance = `instance-${isFenced}`;
  await db
    .insertInto('instances')
    .values({ id: instance, seq: 1 })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  if (isFenced) await sql`UPDATE instances SET fenced = true WHERE id = ${instance}`.execute(db);
  await db.insertInto('leases').values({ user_id: userId, key_id: '', instance, amount, recall: '' }).execute();
}

/** Signed amounts of the user's ledger, in no special order. */
export async function amountsOf(db: Db, userId: string): Promise<number[]> {
  const rows = await db.selectFrom('ledger').select('amount').where('user_id', '=', userId).execute();
  return rows.map(({ amount }) => amount);
}
