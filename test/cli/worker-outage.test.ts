// Workers while the database is down: what is told of them all.

import t, { type Test } from 'tap';
import { emptyDatabase } from '../helpers/databases.ts';
import { openLine } from '../helpers/lines.ts';
import { until } from '../helpers/until.ts';
import { type Gate, startGate } from '../helpers/workers-gate.ts';

const silent = 'the database does not answer';

t.test(
  'in an outage workers are ready as long as one of them knows callers; what else one lacks is told',
  async (t) => {
    const test = await emptyDatabase(t, 'postgres');
    const line = await openLine(t, new URL(test.url));
    const gate = await startGate(t, 'postgres', '', { database: { ...test, url: line.url } });
    await line.cut();
    await untilTold(gate, [`worker 1: ${silent}`, `worker 2: ${silent}`]);
    await line.heal();
    await untilTold(gate, []);
    await until(
      () => gate.call('/'),
      (status) => status === 200,
    );
    // Of the only one who has found the caller in the database.
    const charge = await until(
      () => gate.log().find(({ charge }) => charge !== undefined),
      (line) => line !== undefined,
    );
    const knowing = Number(charge?.['worker']);
    const ignorant = 3 - knowing;

    await line.cut();
    // Who stands still serves nobody.
    const knowingGoesOn = standStill(t, gate.pidOf(knowing));
    await untilTold(gate, [`worker ${knowing} does not answer`, `worker ${ignorant}: ${silent}`]);
    knowingGoesOn();
    await untilTold(gate, []);
    const ignorantGoesOn = standStill(t, gate.pidOf(ignorant));
    await untilTold(gate, [`worker ${ignorant} does not answer`]);
    ignorantGoesOn();
    await untilTold(gate, []);

    await line.heal();
    gate.process.child.kill('SIGTERM');
    t.match(await gate.process.ended, { code: 0, stderr: '' });
  },
);

/** Stops a process until the function that is returned is called, or the test ends. */
function standStill(t: Test, pid: number): () => void {
  process.kill(pid, 'SIGSTOP');
  let isOver = false;
  const goOn = () => {
    if (!isOver) process.kill(pid, 'SIGCONT');
    isOver = true;
  };
  t.teardown(goOn);
  return goOn;
}

async function untilTold(gate: Gate, obstacles: readonly string[]): Promise<void> {
  await until(
    () => gate.obstacles(),
    (told) => told.toSorted().join() === obstacles.toSorted().join(),
  );
}
