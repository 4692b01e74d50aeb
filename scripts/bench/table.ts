// The report for people: a Markdown table, as the README shows it, and what one has to know to read it.

import type { Report, RowReport, Spread } from './report.ts';

const columns: readonly (readonly [title: string, cell: (row: RowReport) => string])[] = [
  ['', ({ title }) => title],
  ['requests/s', ({ requestsPerSecond }) => cellOf(requestsPerSecond, 0)],
  ['p50 ms', ({ p50Ms }) => cellOf(p50Ms, 2)],
  ['p99 ms', ({ p99Ms }) => cellOf(p99Ms, 2)],
  ['CPU µs/request', ({ cpuMicrosPerRequest }) => cellOf(cpuMicrosPerRequest, 0)],
  ['peak RSS MB', ({ peakResidentBytes }) => cellOf(peakResidentBytes, 0, 1e6)],
  ['ratio to bare', ({ ratio }) => cellOf(ratio, 2)],
  ['charged of answered', ({ charged, answered }) => (charged === null ? '–' : `${charged} of ${answered}`)],
];

/** The table, and under it how it was measured. Ends without a newline. */
export function renderTable(report: Report): string {
  const lines = [columns.map(([title]) => title), ...report.rows.map((row) => columns.map(([, cell]) => cell(row)))];
  const widths = columns.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]?.length ?? 0)));
  const [head = '', ...rows] = lines.map((cells) => lineOf(cells.map((cell, i) => pad(cell, widths[i] ?? 0, i))));
  const rule = lineOf(widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)));
  return [head, rule, ...rows, '', ...notesOf(report)].join('\n');
}

/** The first column is text, the others are numbers. */
function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

function lineOf(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** `median (min–max)`; a dash where nothing was measured. */
function cellOf(spread: Spread | null, digits: number, unit = 1): string {
  if (spread === null) return '–';
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => (value / unit).toFixed(digits));
  return min === max ? `${median}` : `${median} (${min}–${max})`;
}

function notesOf({ machine, cores, rounds, seconds, warmUpSeconds, connections }: Report): string[] {
  return [
    `${rounds} × ${seconds} s per row, interleaved, each after ${warmUpSeconds} s of warming up; ${connections} connections; median (min–max).`,
    `${machine.node}, ${machine.system}, ${machine.processor}.`,
    cores === null
      ? 'The processes were not pinned to cores.'
      : `Pinned: the process measured to core ${cores.measured}; load, upstream and PostgreSQL to ${cores.others}.`,
    'Tollgate as by default, log level info, sent to /dev/null. Its CPU is that of its process, without PostgreSQL.',
  ];
}
