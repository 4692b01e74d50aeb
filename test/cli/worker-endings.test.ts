// How workers end, and what becomes of their calls: told to at once, left without a parent, or with something that cannot be closed.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { until } from '../helpers/until.ts';
import { chargesIn, startGate } from '../helpers/workers-gate.ts';

t.test('a second signal ends all of them at once, with 1', async (t) => {
  const gate = await startGate(t, 'sqlite', 'shutdownTimeout: 1h');
  const stuck = gate.call('/held');
  stuck.catch(() => {});
  await until(
    () => gate.held.length,
    (count) => count === 1,
  );
  gate.process.child.kill('SIGTERM');
  await gate.process.printed(/a worker is stopping/);
  gate.process.child.kill('SIGTERM');
  // Its output ends when nobody is left who could write there.
  t.match(await gate.process.ended, { code: 1 });
  // A worker that was not ended would hold it until the test gives up.
  await t.rejects(stuck, { message: /^closed without a whole answer/ });
});

t.test('when the parent is killed, its workers end what is in flight, hand in their charges, and end', async (t) => {
  const gate = await startGate(t, 'sqlite', 'shutdownTimeout: 10s');
  const held = [1, 2, 3, 4].map(() => gate.call('/held'));
  await until(
    () => gate.held.length,
    (count) => count === 4,
  );
  gate.process.child.kill('SIGKILL');
  await gate.process.printed(/the parent of this worker is gone/);
  for (const answer of gate.held) answer.end('at last');
  t.same(await Promise.all(held), [200, 200, 200, 200]);
  // Its output ends when nobody is left who could write there.
  t.match(await gate.process.ended, { code: null, stderr: '' });
  t.equal(await chargesIn(gate.test), 4);
  t.same(await gate.test.database.db.selectFrom('leases').selectAll().execute(), [], 'no lease is left behind');
  t.match(await gate.commands.run('audit'), { code: 0 });
});

t.test('a worker without a parent ends, also when something of it cannot be closed', async (t) => {
  const gate = await startGate(t, 'sqlite');
  t.equal(await gate.call('/'), 200);
  const dataDir = join(gate.commands.folder, 'data');
  const folders = (await readdir(dataDir)).filter((name) => name.startsWith('instance-'));
  t.equal(folders.length, 2);
  for (const folder of folders) {
    const journal = join(dataDir, folder, 'journal-000001.jsonl');
    await rm(journal);
    // A folder is not removed as a file is.
    await mkdir(journal);
  }
  gate.process.child.kill('SIGKILL');
  t.match(await gate.process.ended, { code: null });
  t.equal(await chargesIn(gate.test), 1);
  t.same(await gate.test.database.db.selectFrom('leases').selectAll().execute(), [], 'no lease is left behind');
});
