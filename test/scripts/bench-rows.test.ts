import t from 'tap';
import { assertExact, runShortBench } from '../helpers/short-bench.ts';

const spread = { median: Number, min: Number, max: Number };

t.test('the kinds of rows that a short bench leaves out run too', async (t) => {
  const report = await runShortBench(t, 'raw,token,public,down,sse,workers-2', '--connections 4 --parts none');
  const [raw, token, open, ...others] = report.rows;
  t.match(raw, { requestsPerSecond: spread, charged: null });
  t.equal(open?.charged, null, 'a public route charges nobody');
  assertExact(t, [token, ...others]);
});
