import t from 'tap';
import { runLoad, startLoad } from '../../scripts/bench/load.ts';
import { runPacedLoad, runUnruly, startPacedLoad } from '../../scripts/bench/paced.ts';
import { compareRows, type Measurement, reportRow, wrongBooks } from '../../scripts/bench/report.ts';
import { renderReport } from '../../scripts/bench/table.ts';
import { frameReader } from '../../scripts/bench/wire.ts';
import { runScript } from '../helpers/scripts.ts';
import { startUpstream } from '../helpers/upstreams.ts';

t.test('an unknown row or part and a number out of range are refused by name', async (t) => {
  t.match(await runScript('bench', '--rows nginx'), { code: 1, out: '', err: 'direct,bare,raw,sqlite,postgres' });
  t.match(await runScript('bench', '--parts whole'), { code: 1, out: '', err: 'half,wire' });
  t.match(await runScript('bench', '--rounds 0'), { code: 1, out: '', err: 'from 1 to 100' });
});

t.test('a load that gets anything but 2xx fails', async (t) => {
  const upstream = await startUpstream(t);
  const load = startLoad();
  t.teardown(() => load.stop());
  const options = { credentials: [], connections: 2, seconds: 0.5 };
  t.match(await runLoad(load, { ...options, url: upstream.url }), { good: Number, bad: 0, errors: 0 });
  await t.rejects(runLoad(load, { ...options, url: `${upstream.url}/status/503` }), /0 answers of 2xx, \d+ others/);
});

t.test('every caller calls, whether there are more of them than connections or fewer', async (t) => {
  const upstream = await startUpstream(t);
  const load = startLoad();
  t.teardown(() => load.stop());
  for (const callers of [1, 3, 20]) {
    const credentials = Array.from({ length: callers }, (_, i) => `caller ${i}`);
    const before = upstream.seen.length;
    await runLoad(load, { url: upstream.url, credentials, connections: 5, seconds: 0.5 });
    const seen = new Set(upstream.seen.slice(before).map(({ headers }) => headers.authorization));
    t.same([...seen].sort(), credentials.toSorted());
  }
});

t.test('a load at a fixed rate makes so many calls, of which some leave and some fail', async (t) => {
  const upstream = await startUpstream(t);
  const load = startPacedLoad();
  t.teardown(() => load.stop());
  const options = { url: upstream.url, credentials: ['a', 'b'], connections: 5, seconds: 1, rate: 100 };
  const even = await runPacedLoad(load, options);
  t.match(even, { sent: 100, good: 100, left: 0 });
  const manners = [{ path: '/status/503', percent: 10, leavesAfterMs: null }];
  t.match(await runUnruly(load, { ...options, manners }), { sent: 100, good: 90, bad: 10, errors: 0 });
  await t.rejects(runPacedLoad(load, { ...options, manners }), /10 others/);
});

t.test('a row reports the median and the spread, and its ratio to its baseline in the same round', async (t) => {
  const measurements = [measured('bare', 1, 100), measured('x', 1, 50), measured('bare', 2, 300), measured('x', 2, 90)];
  const report = reportRow('x', { title: 'X' }, measurements);
  t.match(report, { requestsPerSecond: { median: 70, min: 50, max: 90 } });
  t.match(report.ratios.requestsPerSecond, { median: 0.4, min: 0.3, max: 0.5 });
  t.match(report, { cpuMicrosPerRequest: null, charged: 140, answered: 140 });
  t.match(reportRow('x', { title: 'X', baseline: 'x' }, measurements).ratios.requestsPerSecond, { median: 1 });
  t.equal(compareRows([measured('x', 1, 50)], 'x', 'bare', 'p99Ms'), null, 'without the other there is no ratio');
});

t.test('a charge that is missing or one too many is found', async (t) => {
  const right = reportRow('right', { title: 'right' }, [measured('right', 1, 50)]);
  const report = {
    machine: { node: 'Node', system: 'Linux', processor: 'one' },
    cores: null,
    rounds: 1,
    seconds: 1,
    warmUpSeconds: 1,
    connections: 1,
    rows: [
      right,
      { ...right, name: 'lost', charged: 49 },
      { ...right, name: 'doubled', charged: 51 },
      { ...right, name: 'left out who left', books: 'about' as const, delivered: 48, charged: 49 },
      { ...right, name: 'unpaid', books: 'about' as const, delivered: 50, charged: 49 },
    ],
    halfLoad: { rate: 1, rows: [{ ...right, name: 'lost at half load', charged: 49 }] },
    wire: null,
    figures: [],
  };
  t.same(
    wrongBooks(report).map(({ name }) => name),
    ['lost', 'doubled', 'unpaid', 'lost at half load'],
  );
  t.match(renderReport(report), '49 of 50');
});

t.test('frames are told however the stream is cut', async (t) => {
  const frame = (type: string, body: string) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length + 4);
    return Buffer.concat([Buffer.from(type), length, Buffer.from(body)]);
  };
  const stream = Buffer.concat([frame('', 'user'), frame('Q', 'SELECT 1'), frame('S', ''), frame('E', 'x')]);
  for (const size of [1, 3, 7, stream.length]) {
    let types = '';
    const read = frameReader(true, (type) => {
      types += type;
    });
    for (let i = 0; i < stream.length; i += size) read(stream.subarray(i, i + size));
    t.equal(types, 'QSE', `in pieces of ${size}`);
  }
});

/** A second in which so many calls were answered and charged. */
function measured(row: string, round: number, good: number): Measurement {
  const load = { seconds: 1, good, bad: 0, errors: 0, p50Ms: 1, p99Ms: 2 };
  const books = { delivered: good, answered: good, charged: good };
  return { row, round, load, cpuMicros: null, peakResidentBytes: null, ...books };
}
