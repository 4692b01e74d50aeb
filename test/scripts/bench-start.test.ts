import t from 'tap';
import {
  renderStarts,
  reportStarts,
  type StartMeasurement,
  type StartReport,
} from '../../scripts/bench/starts/starts-report.ts';
import { runScript } from '../helpers/scripts.ts';

t.test('a short bench of starts prints one JSON document with every row', async (t) => {
  const { code, out, err } = await runScript('bench-start', '--json --rounds 1');
  t.equal(code, 0, err);
  const { rounds, rows }: StartReport = JSON.parse(out);
  t.equal(rounds, 1);
  t.same(
    rows.map(({ name }) => name),
    ['node', 'bare', 'help', 'sqlite', 'postgres'],
  );
  const spread = { median: Number, min: Number, max: Number };
  for (const row of rows) t.match(row, { ms: spread, ratioToNode: spread, ratioToBare: spread });
});

t.test('a start is compared with an empty node and the bare proxy of the same round', async (t) => {
  const taken = { node: [10, 20], bare: [40, 160], help: [15, 40], sqlite: [100, 200], postgres: [120, 160] };
  const measurements = Object.entries(taken).flatMap(([row, times]) =>
    times.map((ms, round) => ({ row: row as StartMeasurement['row'], round, ms, cpuMicros: null, idleBytes: 5e7 })),
  );
  const report = reportStarts({ node: 'Node', system: 'Linux', processor: 'one' }, measurements);
  t.equal(report.rounds, 2);
  const [node, bare, , sqlite] = report.rows;
  t.match(node, { ratioToNode: { min: 1, max: 1 }, cpuMicros: null });
  t.match(bare, { ratioToNode: { min: 4, max: 8 }, ratioToBare: { min: 1, max: 1 } });
  t.match(sqlite, { ms: { median: 150 }, ratioToNode: { median: 10 }, ratioToBare: { min: 1.25, max: 2.5 } });
  t.match(renderStarts(report), /\| tollgate start, SQLite, until it is ready +\| +150 \(100–200\) \|/);
});
