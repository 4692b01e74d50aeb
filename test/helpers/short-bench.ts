// A short bench, for the tests that run some of its rows.

import type { Test } from 'tap';
import type { Report, RowReport } from '../../scripts/bench/report.ts';
import { runScript } from './scripts.ts';

/** Runs these rows for a moment, and returns what was found. */
export async function runShortBench(t: Test, rows: string, args: string): Promise<Report> {
  const { code, out, err } = await runScript('bench', `--json --rounds 1 --seconds 0.3 --rows ${rows} ${args}`);
  t.equal(code, 0, err);
  const report: Report = JSON.parse(out);
  t.same(report.rows.map(nameOf), rows.split(','));
  return report;
}

/** Each of them has answered calls, and charged each once. */
export function assertExact(t: Test, rows: readonly (RowReport | undefined)[]): void {
  for (const row of rows) {
    t.ok(Number(row?.answered) > 0, `the upstream of ${row?.name} has answered`);
    t.equal(row?.charged, row?.answered, `${row?.name} charged what was answered`);
  }
}

/** For lists of names. */
export function nameOf(row: RowReport | undefined): string | undefined {
  return row?.name;
}
