// Two whole gateways on one database, over real HTTP.

import type { Test } from 'tap';
import { request } from 'undici';
import type { Dialect } from '../helpers/databases.ts';
import { noteCredential } from '../helpers/evidence.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { auditOf } from '../helpers/meters.ts';

const everything = '  - { path: /, upstream: api }';

/** Each has an upstream of its own. */
export async function startTwo(t: Test, dialect: Dialect): Promise<[TestGateway, TestGateway]> {
  const first = await startTestGateway(t, dialect, everything);
  return [first, await startTestGateway(t, dialect, everything, undefined, { database: first.test })];
}

export interface Answer {
  readonly status: number;
  /** X-Tollgate-Error. */
  readonly code: unknown;
}

/** Calls once. Thousands of calls are made here: `fetch` would take most of their time. */
export async function callOnce({ gateway }: TestGateway, key: string): Promise<Answer> {
  const { statusCode, headers, body } = await request(gateway.address, {
    headers: { 'x-api-key': noteCredential(key) },
  });
  await body.dump();
  return { status: statusCode, code: headers['x-tollgate-error'] };
}

/** Closes the gateways: the one user has so many credits then, and they are the sum of the ledger. */
export async function closeAndAudit(t: Test, gates: readonly [TestGateway, TestGateway], credits: number) {
  for (const { gateway } of gates) t.same(await gateway.close(), { chargesLeft: 0 });
  const { db } = gates[0].test.database;
  t.same(await db.selectFrom('users').select('credits').execute(), [{ credits }]);
  t.same(await auditOf(db), { users: 1, differences: [] });
}
