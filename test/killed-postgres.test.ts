// PostgreSQL itself is killed under load, and stays away: a server of the test's own, that nobody else may miss.

import type { ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { request } from 'undici';
import { startPostgres } from '../scripts/postgres.ts';
import { openDatabase } from '../src/store/database.ts';
import { startTestGateway, type TestGateway } from './helpers/gateways.ts';
import { auditOf } from './helpers/meters.ts';
import { until } from './helpers/until.ts';

const usersCount = 60;
/** More than what a lease covers, which is 16 calls or so. */
const callsEach = 50;
/** How long the upstream takes for each of them: ten seconds for all. */
const upstreamMs = 200;
const startingCredits = 1_000;

t.test(
  'PostgreSQL killed under load for ten seconds: no call is refused, and all are charged once afterwards',
  async (t) => {
    const held: ServerResponse[] = [];
    let isKilled = false;
    const { gate, server } = await startOnOwnServer(t, async (response) => {
      if (!isKilled) return void held.push(response);
      await setTimeout(upstreamMs);
      response.end('done');
    });
    const keys: string[] = [];
    for (let user = 0; user < usersCount; user++) keys.push(await gate.newKey(`u${user}`, startingCredits));
    const inFlight = keys.map((key) => callOnce(gate, key));
    await until(
      () => held.length,
      (calls) => calls === usersCount,
    );
    await server.halt('SIGKILL');
    isKilled = true;
    for (const response of held) response.end('done');
    // One after the other: so many seconds of each user's calls, while nobody can ask the database anything.
    const statuses = await Promise.all(keys.map((key) => callInTurn(gate, key)));
    t.same(new Set([...(await Promise.all(inFlight)), ...statuses.flat()]), new Set([200]));
    t.ok((await metricOf(gate, 'tollgate_admitted_while_down_total')) > 0);
    t.equal(await metricOf(gate, 'tollgate_journal_charges'), usersCount * (callsEach + 1), 'nothing is booked yet');
    await server.resume();
    await until(
      () => metricOf(gate, 'tollgate_journal_charges'),
      (charges) => charges === 0,
    );
    t.same(await gate.gateway.close(), { chargesLeft: 0 });
    await booksSay(t, gate);
  },
);

async function startOnOwnServer(t: Test, answer: (response: ServerResponse) => Promise<void>) {
  const server = await startPostgres();
  t.teardown(() => server.stop());
  const place = { url: server.url, schema: 'public' };
  const database = openDatabase({ ...place, poolSize: 5 });
  t.teardown(() => database.close());
  const routes = '  - { path: /, upstream: api }';
  const gate = await startTestGateway(t, 'postgres', routes, (_request, response) => void answer(response), {
    database: { ...place, database },
  });
  return { gate, server };
}

async function callInTurn(gate: TestGateway, key: string): Promise<number[]> {
  const statuses: number[] = [];
  for (let call = 0; call < callsEach; call++) statuses.push(await callOnce(gate, key));
  return statuses;
}

async function callOnce({ gateway }: TestGateway, key: string): Promise<number> {
  const { statusCode, body } = await request(gateway.address, { headers: { 'x-api-key': key } });
  await body.dump();
  return statusCode;
}

async function metricOf({ gateway }: TestGateway, name: string): Promise<number> {
  const metrics = await (await fetch(`${gateway.opsAddress}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1]);
}

/** Each user has paid for each of their calls, by one entry each. */
async function booksSay(t: Test, { test: { database } }: TestGateway): Promise<void> {
  const { db } = database;
  const charges = await db.selectFrom('ledger').select(['request_id', 'amount']).where('kind', '=', 'charge').execute();
  t.equal(charges.length, usersCount * (callsEach + 1));
  t.equal(new Set(charges.map(({ request_id }) => request_id)).size, charges.length, 'each call has one');
  const left = await db.selectFrom('users').select('credits').distinct().execute();
  t.same(left, [{ credits: startingCredits - callsEach - 1 }], 'every user has paid for every call');
  t.same(await auditOf(db), { users: usersCount, differences: [] });
}
