import t from 'tap';
import { assertExact, nameOf, runShortBench } from '../helpers/short-bench.ts';

const spread = { median: Number, min: Number, max: Number };

t.test('a short bench prints one JSON document in which every answer was charged once', async (t) => {
  const report = await runShortBench(t, 'bare,sqlite,postgres,naive', '--connections 8');
  t.match(report, { rounds: 1, seconds: 0.3, warmUpSeconds: 0.6, connections: 8, machine: { node: /^Node v/ } });
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
