// How workers end, and what becomes of their calls: killed by the kernel, stopped, told to, or left without a parent.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { until } from '../helpers/until.ts';
import { chargesIn, startGate, startMaxMs } from '../helpers/workers-gate.ts';

t.test('a worker that is killed is replaced, again and again; calls go on, and no counter goes back', async (t) => {
  const gate = await startGate(t, 'sqlite');
  for (let calls = 0; calls < 10; calls++) t.equal(await gate.call('/'), 200);
  const charges = 'tollgate_charges_total{route="/"}';
  t.equal(await gate.metric(charges), 10);
  // The configuration is the one that the parent has read.
  const file = join(gate.commands.folder, 'gateway.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, 'half a file: [');
  for (const pauseMs of [0, 500]) {
    const pid = gate.pidOf(1);
    process.kill(pid, 'SIGKILL');
    await until(
      () => gate.log(),
      (lines) =>
        lines.some((line) => line['pid'] === pid && line['pauseMs'] === pauseMs && line['signal'] === 'SIGKILL'),
    );
    t.equal(await gate.call('/'), 200, 'the other serves');
    t.ok((await gate.metric(charges)) > 10, 'what the dead had counted is there at once');
    await until(
      () => gate.obstacles(),
      (obstacles) => obstacles.length === 0,
      startMaxMs,
    );
    t.not(gate.pidOf(1), pid);
  }
  t.equal(await gate.metric(charges), 12, 'those of the dead are not forgotten');
  for (let calls = 0; calls < 4; calls++) t.equal(await gate.call('/'), 200);
  t.equal(await gate.metric(charges), 16);
  t.equal(gate.log().filter(({ msg }) => msg === 'tollgate is ready').length, 1);
  gate.process.child.kill('SIGTERM');
  t.match(await gate.process.ended, { code: 0 }, 'a death that was made good is no bad end');
  await writeFile(file, text);
  t.match(await gate.commands.run('audit'), { code: 0 });
});

t.test(
  'a worker that stands still is told by /readyz; once it is killed, who was on the way to it is let go',
  async (t) => {
    const gate = await startGate(t, 'sqlite');
    for (let calls = 0; calls < 4; calls++) t.equal(await gate.call('/'), 200);
    t.equal(await gate.metric('tollgate_charges_total{route="/"}'), 4);
    const pid = gate.pidOf(2);
    process.kill(pid, 'SIGSTOP');
    t.same(await gate.obstacles(), ['worker 2 does not answer']);
    t.equal(await gate.metric('tollgate_charges_total{route="/"}'), 4);
    const calls = [1, 2, 3].map(() => gate.call('/'));
    const others = Promise.allSettled(calls);
    await until(
      () => gate.log().filter(({ msg }) => msg === 'request').length,
      (count) => count === 6,
    );
    process.kill(pid, 'SIGKILL');
    const reasons = (await others).flatMap((call) => (call.status === 'rejected' ? [call.reason] : []));
    t.match(reasons, [{ message: /^closed without a whole answer/ }], 'one of the three');
    await until(
      () => gate.obstacles(),
      (obstacles) => obstacles.length === 0,
    );
    gate.process.child.kill('SIGTERM');
    t.match(await gate.process.ended, { code: 0 });
  },
);

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
