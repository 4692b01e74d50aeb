// Workers that die or stand still, and what comes in their place.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { until } from '../helpers/until.ts';
import { startGate, startMaxMs } from '../helpers/workers-gate.ts';

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
    // Its line in the log may come after the parent has heard from it.
    await until(
      () => gate.pidOf(1),
      (now) => now !== pid,
    );
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
