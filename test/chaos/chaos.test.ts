import t from 'tap';
import { pageOf } from '../../src/verify/page.ts';
import { noteCredential, noteLog } from '../helpers/evidence.ts';
import { runChaos } from './run.ts';

const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const seconds = 25;

t.test('whatever is killed, stopped, paused or cut off, every credit is charged once', async (t) => {
  t.comment(`CHAOS_SEED=${seed}`);
  const report = await runChaos({
    ...{
      seconds,
      seed,
      signal: new AbortController().signal,
      onSecond: () => {},
      onLog: noteLog,
      onKey: noteCredential,
    },
    lengths: { pausesMs: [2_000, 3_000], outagesMs: [1_000, 3_000], locksMs: [1_000], gapMaxMs: 1_000 },
    onStep: (text) => t.comment(text),
  });
  if (report === null) throw new Error('nobody ended it early');
  for (const line of pageOf(report).split('\n')) t.comment(line);
  for (const { promise, broken } of report.findings) t.same(broken, [], promise);
  t.ok(report.faults.kill, 'gateways were killed');
  t.ok(report.calls > 500, 'under load');
});
