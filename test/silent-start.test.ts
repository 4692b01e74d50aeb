// A start whose database falls silent at any of its questions: it goes on in the outage, and is whole when the database speaks
// again.

import t, { type Test } from 'tap';
import { emptyDatabase } from './helpers/databases.ts';
import { startTestGateway, type TestGateway } from './helpers/gateways.ts';
import { openLine } from './helpers/lines.ts';
import { until } from './helpers/until.ts';

const everything = '  - { path: /, upstream: api }';

/** What is not answered any more, by how it is said; null where nobody even gets in. */
const unanswered: Record<string, string | null> = {
  'whether it is there': null,
  'whether its tables are': 'tollgate_migrations',
  'that they be made': 'CREATE TABLE ledger',
  'that an instance enters': 'insert into "instances"',
  'its first message': 'BEGIN ISOLATION LEVEL READ COMMITTED',
};

t.test('a start whose database does not answer goes on, and is whole when it speaks again', async (t) => {
  await Promise.all(Object.entries(unanswered).map(([what, said]) => startUnanswered(t, what, said)));
});

async function startUnanswered(t: Test, what: string, said: string | null): Promise<void> {
  const test = await emptyDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  if (said === null) line.silence();
  else line.silenceAt(said);
  const { gateway, newKey, call } = await startSoon(t, { ...test, url: line.url });
  const readiness = async () => {
    const answer = await fetch(`${gateway.opsAddress}/readyz`);
    return (await answer.json()) as { status: string; reasons?: string[] };
  };
  t.match(await readiness(), { status: 'not ready', reasons: ['the database does not answer'] }, what);
  await line.heal();
  await until(readiness, ({ status }) => status === 'ready');
  t.equal((await call(await newKey('u', 1000))).status, 200, what);
  t.same(await gateway.close(), { chargesLeft: 0 }, what);
}

/** Rejects when it takes as long as no start may. */
async function startSoon(t: Test, database: TestGateway['test']): Promise<TestGateway> {
  let hasEnded = false;
  const starting = startTestGateway(t, 'postgres', everything, undefined, { database }).finally(() => {
    hasEnded = true;
  });
  await until(() => hasEnded, Boolean);
  return starting;
}
