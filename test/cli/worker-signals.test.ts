// Several processes that share the port, with signals as a terminal sends them: to all of them.

import t from 'tap';
import { dialects } from '../helpers/databases.ts';
import { until } from '../helpers/until.ts';
import { chargesIn, startGate } from '../helpers/workers-gate.ts';

for (const dialect of dialects) {
  t.test(
    `${dialect}: Ctrl-C, which reaches all of them, drains and then lets calls in flight end everywhere`,
    async (t) => {
      const gate = await startGate(t, dialect, 'drainDelay: 1s, shutdownTimeout: 10s');
      const held = [1, 2, 3, 4].map(() => gate.call('/held'));
      await until(
        () => gate.held.length,
        (count) => count === 4,
      );
      gate.process.child.kill('SIGINT');
      for (const pid of gate.workers().values()) process.kill(pid, 'SIGINT');
      await until(
        () => gate.obstacles(),
        ([obstacle]) => obstacle === 'shutting down',
      );
      t.equal(await gate.call('/late'), 200, 'whoever comes while it drains is served');
      for (const answer of gate.held) answer.end('at last');
      t.same(await Promise.all(held), [200, 200, 200, 200]);
      t.match(await gate.process.ended, { code: 0, stderr: '' });
      t.equal(await chargesIn(gate.test), 5);
      t.match(await gate.commands.run('audit'), { code: 0 });
    },
  );
}
