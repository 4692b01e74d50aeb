import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { runLoad, startLoad } from '../../scripts/bench/load.ts';
import { type Measurement, reportRow, wrongBooks } from '../../scripts/bench/report.ts';
import { renderTable } from '../../scripts/bench/table.ts';
import { startUpstream } from '../helpers/upstreams.ts';

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

t.test('a short bench prints one JSON document in which every answer was charged once', async (t) => {
  const { code, out, err } = await bench(
    '--json --rounds 1 --seconds 1 --connections 8 --rows bare,sqlite,token,public',
  );
  t.equal(code, 0, err);
  const report = JSON.parse(out);
  t.match(report, { rounds: 1, seconds: 1, warmUpSeconds: 1, connections: 8, machine: { node: /^Node v/ } });
  const spread = { median: Number, min: Number, max: Number };
  const [bare, sqlite, token, open] = report.rows;
  t.match(bare, { name: 'bare', requestsPerSecond: spread, ratio: { median: 1 }, charged: null });
  t.match(sqlite, { name: 'sqlite', requestsPerSecond: spread, p50Ms: spread, p99Ms: spread, ratio: spread });
  t.ok(sqlite.answered > 0, 'the upstream has answered');
  t.equal(sqlite.charged, sqlite.answered);
  t.equal(token.charged, token.answered);
  t.equal(open.charged, null, 'a public route charges nobody');
});

t.test('an unknown row and a number out of range are refused by name', async (t) => {
  t.match(await bench('--rows nginx'), { code: 1, out: '', err: 'direct,bare,sqlite,postgres,token,public' });
  t.match(await bench('--rounds 0'), { code: 1, out: '', err: 'from 1 to 100' });
});

t.test('a load that gets anything but 2xx fails', async (t) => {
  const upstream = await startUpstream(t);
  const load = startLoad();
  t.teardown(() => load.stop());
  const options = { headers: {}, connections: 2, seconds: 1 };
  t.match(await runLoad(load, { ...options, url: upstream.url }), { good: Number, bad: 0, errors: 0 });
  await t.rejects(runLoad(load, { ...options, url: `${upstream.url}/status/503` }), /0 answers of 2xx, \d+ others/);
});

t.test('a row reports the median and the spread, and its ratio to the bare proxy of the same round', async (t) => {
  const measurements = [measured('bare', 1, 100), measured('x', 1, 50), measured('bare', 2, 300), measured('x', 2, 90)];
  const report = reportRow('x', 'X', measurements);
  t.match(report, { requestsPerSecond: { median: 70, min: 50, max: 90 }, ratio: { median: 0.4, min: 0.3, max: 0.5 } });
  t.match(report, { cpuMicrosPerRequest: null, charged: 140, answered: 140 });
  t.equal(reportRow('x', 'X', [measured('x', 1, 50)]).ratio, null, 'without the bare proxy there is no ratio');
});

t.test('a charge that is missing or one too many is found', async (t) => {
  const right = reportRow('right', 'right', [measured('right', 1, 50)]);
  const report = {
    machine: { node: 'Node', system: 'Linux', processor: 'one' },
    cores: null,
    rounds: 1,
    seconds: 1,
    warmUpSeconds: 1,
    connections: 1,
    rows: [right, { ...right, name: 'lost', charged: 49 }, { ...right, name: 'doubled', charged: 51 }],
  };
  t.same(
    wrongBooks(report).map(({ name }) => name),
    ['lost', 'doubled'],
  );
  t.match(renderTable(report), '49 of 50');
});

/** A second in which so many calls were answered and charged. */
function measured(row: string, round: number, good: number): Measurement {
  const load = { seconds: 1, good, bad: 0, errors: 0, p50Ms: 1, p99Ms: 2 };
  return { row, round, load, cpuMicros: null, peakResidentBytes: null, answered: good, charged: good };
}

function bench(args: string): Promise<Ended> {
  const script = fileURLToPath(new URL('../../scripts/bench.js', import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args.split(' ')], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}
