import t from 'tap';
import { isFlat } from '../../scripts/bench/soak/flatness.ts';
import { faultsOf, type SoakReport } from '../../scripts/bench/soak/soak.ts';
import { runScript } from '../helpers/scripts.ts';

t.test('a short soak leaves no hold behind, and charges what the upstream answered', async (t) => {
  const args = '--json --minutes 0.03 --users 200 --connections 5 --rate 100 --store sqlite';
  const { code, out, err } = await runScript('bench-soak', args);
  t.equal(code, 0, err);
  const report: SoakReport = JSON.parse(out);
  t.match(report, { users: 200, rate: 100, isFlat: null, holdsLeft: 0 });
  t.equal(report.charged, report.answered);
  const [minute] = report.minutesSeen;
  t.match(minute, { minute: 1, holdsOpen: Number, delay: { p99Ms: Number, maxMs: Number } });
  for (const count of ['good', 'bad', 'left'] as const) t.ok(Number(minute?.load[count]) > 0, `some are ${count}`);
  t.match(err, /minute 1: .* RSS .* event loop .* holds open/);
});

t.test('memory is flat when the last third is no higher than the second', async (t) => {
  t.equal(isFlat([1, 2, 3]), null, 'too short to tell');
  t.equal(isFlat([50, 90, 100, 100, 101, 100]), true, 'however it began');
  t.equal(isFlat([50, 90, 100, 110, 120, 130]), false);
  t.equal(isFlat([100, 100, 130, 100, 100, 60]), true);
});

t.test('what a soak finds wrong is told', async (t) => {
  const load = { sent: 1, good: 1, bad: 0, errors: 0, left: 0, seconds: 1, p50Ms: 1, p99Ms: 1 };
  const minute = { minute: 1, load, residentBytes: 1, delay: { p99Ms: 0, maxMs: 0 }, holdsOpen: 0 };
  const right: SoakReport = {
    ...{ minutes: 1, users: 1, connections: 1, store: 'sqlite', rate: 1 },
    machine: { node: 'Node', system: 'Linux', processor: 'one' },
    ...{ minutesSeen: [minute], isFlat: true, holdsLeft: 0, answered: 5, charged: 5 },
  };
  t.same(faultsOf(right), []);
  t.match(faultsOf({ ...right, isFlat: false, holdsLeft: 2, charged: 4 }), [/not flat/, /2 holds/, /5 .* 4/]);
});
