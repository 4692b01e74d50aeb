// A database that is connected and says nothing: nobody hangs on it, and all is well when it speaks again.

import t, { type Test } from 'tap';
import { emptyDatabase } from './helpers/databases.ts';
import { startTestGateway, type TestGateway } from './helpers/gateways.ts';
import { type Line, openLine } from './helpers/lines.ts';
import { until } from './helpers/until.ts';

const everything = '  - { path: /, upstream: api }';

t.test('on a silent line look-ups are told to come again, and warm callers go on and pay once', async (t) => {
  const { gate, line } = await startBehindLine(t);
  const [warm, cold] = [await gate.newKey('warm', 1000), await gate.newKey('cold', 1000)];
  t.equal((await gate.call(warm)).status, 200);
  line.silence();
  const told = Promise.all(Array.from({ length: 30 }, () => gate.call(cold)));
  for (let call = 0; call < 5; call++) t.equal((await gate.call(warm)).status, 200);
  for (const answer of await told) {
    t.same([answer.status, answer.headers.get('x-tollgate-error')], [503, 'TG_STORE_UNAVAILABLE']);
  }
  t.equal((await gate.call(warm)).status, 200);
  await line.heal();
  await until(
    async () => (await gate.call(cold)).status,
    (status) => status === 200,
  );
  t.same(await gate.gateway.close(), { chargesLeft: 0 });
  t.same(await spentIn(gate), [
    { id: 'cold', credits: 999 },
    { id: 'warm', credits: 993 },
  ]);
});

t.test('a gateway closes on a silent line', async (t) => {
  const { gate, line } = await startBehindLine(t);
  t.equal((await gate.call(await gate.newKey('u', 1000))).status, 200);
  await until(
    async () => (await fetch(`${gate.gateway.opsAddress}/metrics`)).text(),
    (metrics) => /^tollgate_journal_charges 0$/m.test(metrics),
  );
  line.silence();
  t.same(await gate.gateway.close(), { chargesLeft: 0 });
});

async function startBehindLine(t: Test): Promise<{ gate: TestGateway; line: Line }> {
  const test = await emptyDatabase(t, 'postgres');
  const line = await openLine(t, new URL(test.url));
  const database = { ...test, url: line.url };
  return { gate: await startTestGateway(t, 'postgres', everything, undefined, { database }), line };
}

function spentIn({ test }: TestGateway) {
  return test.database.db.selectFrom('users').select(['id', 'credits']).orderBy('id').execute();
}
