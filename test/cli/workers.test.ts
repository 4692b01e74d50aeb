// Several processes that share the port: they serve as one does, and what keeps one from starting keeps them all.

import t from 'tap';
import { openCommandLine } from '../helpers/command-line.ts';
import { dialects } from '../helpers/databases.ts';
import { startUpstream } from '../helpers/upstreams.ts';
import { chargesIn, edit, startGate } from '../helpers/workers-gate.ts';

for (const dialect of dialects) {
  t.test(
    `${dialect}: two workers share the port, both charge, and the books and the metrics know it all`,
    async (t) => {
      const gate = await startGate(t, dialect);
      for (let calls = 0; calls < 20; calls++) t.equal(await gate.call('/'), 200);
      t.equal(await gate.metric('tollgate_charges_total{route="/"}'), 20);
      t.equal(await gate.metric('tollgate_requests_total{route="/",code="200"}'), 20);
      t.equal(await gate.metric('tollgate_store_up'), 1);
      t.same(await gate.obstacles(), []);

      gate.process.child.kill('SIGTERM');
      t.match(await gate.process.ended, { code: 0, stderr: '' });
      const lines = gate.log();
      const charging = lines.filter(({ charge }) => charge !== undefined).map(({ worker }) => worker);
      t.same([...new Set(charging)].sort(), [1, 2], 'each line says of which worker it is');
      t.equal(lines.filter(({ address }) => address !== undefined).length, 1, 'the address is told once');
      t.equal(await chargesIn(gate.test), 20);
      t.same(await gate.test.database.db.selectFrom('leases').selectAll().execute(), [], 'no lease is left behind');
      t.match(await gate.commands.run('audit'), { code: 0 });
    },
  );
}

t.test('what keeps every worker from starting ends the start as it ends that of one process', async (t) => {
  const { port } = new URL((await startUpstream(t)).url);
  const commands = await openCommandLine(t, 'sqlite');
  await edit(commands, 'port: 0', 'port: 0, workers: 2');
  await edit(commands, 'database: {', 'database: { migrate: false,');
  const bare = await commands.start('start').ended;
  t.match(bare, { code: 1, stderr: /^error: .*no such table.*\n$/ });
  await edit(commands, 'workers: 2', 'workers: 1');
  t.match(await commands.start('start').ended, { code: 1, stderr: bare.stderr }, 'word for word');

  await edit(commands, 'migrate: false,', '');
  await edit(commands, 'port: 0, workers: 1', `port: ${port}, workers: 2`);
  const taken = await commands.start('start').ended;
  t.match(taken, { code: 1, stderr: /^error: .*EADDRINUSE.*choose another in server\.port or ops\.port\.\n$/ });

  await edit(commands, 'workers: 2', 'workers: 65');
  t.match(await commands.start('start').ended, { code: 78, stderr: /workers.*from 1 to 64/s });
});
