import t, { type Test } from 'tap';
import type { Report, RowReport } from '../../scripts/bench/report.ts';
import { runScript } from '../helpers/scripts.ts';

const spread = { median: Number, min: Number, max: Number };

t.test('a short bench prints one JSON document in which every answer was charged once', async (t) => {
  const report = await bench(t, 'bare,sqlite,postgres,naive', '--connections 8');
  t.match(report, { rounds: 1, seconds: 0.3, warmUpSeconds: 0.3, connections: 8, machine: { node: /^Node v/ } });
  const [bare, sqlite, postgres, naive] = report.rows;
  t.match(bare, { requestsPerSecond: spread, ratios: { requestsPerSecond: { median: 1 } }, charged: null });
  t.match(sqlite, { p50Ms: spread, p99Ms: spread, ratios: { requestsPerSecond: spread, p99Ms: spread } });
  t.ok(Number(naive?.charged) >= Number(naive?.delivered), 'the naive way charged what its callers got');
  const [bareAtHalf, ...atHalf] = report.halfLoad?.rows ?? [];
  t.same([bareAtHalf, ...atHalf].map(nameOf), ['bare', 'sqlite', 'postgres']);
  assertExact(t, [sqlite, postgres, ...atHalf]);
  t.match(report.wire, { heldCalls: Number, heldLookUps: 0, roundTripsPer1000Charges: Number });
  t.ok(Number(report.wire?.heldCalls) > 0, 'a warm caller was served while nothing came through to the database');
  t.ok(Number(report.wire?.roundTripsPer1000Charges) > 0);
  t.ok(report.figures.length > 2, 'the questions are answered');
});

t.test('the other kinds of rows run too', async (t) => {
  const report = await bench(t, 'raw,token,public,down,sse,workers-2', '--connections 4 --parts none');
  const [raw, token, open, ...others] = report.rows;
  t.match(raw, { requestsPerSecond: spread, charged: null });
  t.equal(open?.charged, null, 'a public route charges nobody');
  assertExact(t, [token, ...others]);
});

function assertExact(t: Test, rows: readonly (RowReport | undefined)[]): void {
  for (const row of rows) {
    t.ok(Number(row?.answered) > 0, `the upstream of ${row?.name} has answered`);
    t.equal(row?.charged, row?.answered, `${row?.name} charged what was answered`);
  }
}

function nameOf(row: RowReport | undefined): string | undefined {
  return row?.name;
}

async function bench(t: Test, rows: string, args: string): Promise<Report> {
  const { code, out, err } = await runScript('bench', `--json --rounds 1 --seconds 0.3 --rows ${rows} ${args}`);
  t.equal(code, 0, err);
  const report: Report = JSON.parse(out);
  t.same(report.rows.map(nameOf), rows.split(','));
  return report;
}
