// Two whole gateways on one database, over real HTTP.

import type { Test } from 'tap';
import { request } from 'undici';
import type { Dialect } from '../helpers/databases.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { auditOf } from '../helpers/meters.ts';

const everything = '  - { path: /, upstream: api }';

/** Each has an upstream of its own. */
export async function startTwo(t: Test, dialect: Dialect): Promise<[TestGateway, TestGateway]> {
  const first = await startTestGateway(t, dialect, everything);
  return [first, await startTestGateway(t, dialect, everything, undefined, { database: first.test })];
}

/**
 * The status of a call. Who is told that credits are reserved for the moment comes again, as told. Thousands of calls are
 * made here: `fetch` would take most of their time.
 */
export async function callOnce({ gateway }: TestGateway, key: string): Promise<number> {
  for (;;) {
    const { statusCode, headers, body } = await request(gateway.address, { headers: { 'x-api-key': key } });
    await body.dump();
    if (headers['x-tollgate-error'] !== 'TG_CREDITS_RESERVED') return statusCode;
  }
}

/** Closes the gateways: the one user has so many credits then, and they are the sum of the ledger. */
export async function closeAndAudit(t: Test, gates: readonly [TestGateway, TestGateway], credits: number) {
  for (const { gateway } of gates) t.same(await gateway.close(), { chargesLeft: 0 });
  const { db } = gates[0].test.database;
  t.same(await db.selectFrom('users').select('credits').execute(), [{ credits }]);
  t.same(await auditOf(db), { users: 1, differences: [] });
}
