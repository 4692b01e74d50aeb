// The report for people: Markdown tables, as the README shows them, and what one has to know to read them. Pure.

import type { Report, RowReport, Spread } from './report.ts';
import type { WireReport } from './wire-count.ts';

/** A title, and what a row has under it. */
export type Column<T> = readonly [title: string, cell: (row: T) => string];

const columns: readonly Column<RowReport>[] = [
  ['', ({ title }) => title],
  ['requests/s', ({ requestsPerSecond }) => cellOf(requestsPerSecond, 0)],
  ['ratio to bare', ({ ratios }) => cellOf(ratios.requestsPerSecond, 2)],
  ['p50 ms', ({ p50Ms }) => cellOf(p50Ms, 2)],
  ['p99 ms', ({ p99Ms }) => cellOf(p99Ms, 2)],
  ['CPU µs/request', ({ cpuMicrosPerRequest }) => cellOf(cpuMicrosPerRequest, 0)],
  ['its ratio', ({ ratios }) => cellOf(ratios.cpuMicrosPerRequest, 2)],
  ['peak RSS MB', ({ peakResidentBytes }) => cellOf(peakResidentBytes, 0, 1e6)],
  ['charged of answered', ({ charged, answered }) => (charged === null ? '–' : `${charged} of ${answered}`)],
];

const halfLoadColumns: readonly Column<RowReport>[] = [
  ['', ({ title }) => title],
  ['requests/s', ({ requestsPerSecond }) => cellOf(requestsPerSecond, 0)],
  ['p50 ms', ({ p50Ms }) => cellOf(p50Ms, 2)],
  ['p99 ms', ({ p99Ms }) => cellOf(p99Ms, 2)],
  ['ratio to bare', ({ ratios }) => cellOf(ratios.p99Ms, 2)],
  ['charged of answered', ({ charged, answered }) => (charged === null ? '–' : `${charged} of ${answered}`)],
];

/** The tables and figures, and under them how they were measured. Ends without a newline. */
export function renderReport(report: Report): string {
  const { rows, halfLoad, wire, figures } = report;
  const parts = [
    tableOf(columns, rows).join('\n'),
    ...(halfLoad === null
      ? []
      : [
          `At ${halfLoad.rate} calls a second, half of the bare proxy's most:`,
          tableOf(halfLoadColumns, halfLoad.rows).join('\n'),
        ]),
    ...(wire === null ? [] : [renderWire(wire)]),
    ...(figures.length === 0 ? [] : [figures.map(({ title, value }) => `${title}: ${cellOf(value, 2)}`).join('\n')]),
    notesOf(report).join('\n'),
  ];
  return parts.join('\n\n');
}

/** A Markdown table, line by line: the first column is text, the others are numbers. */
export function tableOf<T>(columns: readonly Column<T>[], rows: readonly T[]): string[] {
  const lines = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, cell]) => cell(row)))];
  const widths = columns.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]?.length ?? 0)));
  const [head = '', ...rest] = lines.map((cells) => lineOf(cells.map((cell, i) => pad(cell, widths[i] ?? 0, i))));
  const rule = lineOf(widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)));
  return [head, rule, ...rest];
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

function lineOf(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** `median (min–max)`; a dash where nothing was measured. */
export function cellOf(spread: Spread | null, digits: number, unit = 1): string {
  if (spread === null) return '–';
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => (value / unit).toFixed(digits));
  return min === max ? `${median}` : `${median} (${min}–${max})`;
}

function renderWire({ heldCalls, heldLookUps, charges, chargesPerSecond, ...rest }: WireReport): string {
  return [
    `While nothing came through to PostgreSQL, ${heldCalls} calls of a warm caller were answered by the upstream: ` +
      `${heldLookUps} statements were asked for them.`,
    `${charges} charges, ${Math.round(chargesPerSecond)} a second: ` +
      `${rest.roundTripsPer1000Charges.toFixed(1)} round trips and ` +
      `${rest.statementsPer1000Charges.toFixed(1)} statements for 1,000 of them, counted on the wire.`,
  ].join('\n');
}

function notesOf({ machine, cores, rounds, seconds, warmUpSeconds, connections }: Report): string[] {
  return [
    `${rounds} × ${seconds} s per row, interleaved, each after ${warmUpSeconds} s of warming up for each process; ${connections} connections; median (min–max). Ratios are to the bare proxy with the same body in the same round.`,
    `${machine.node}, ${machine.system}, ${machine.processor}.`,
    ...(cores === null
      ? ['The processes were not pinned to cores.']
      : [
          `Pinned: what is measured to core ${cores.measured}, load, upstream and PostgreSQL to ${cores.others}.`,
          cores.pair === null
            ? 'There are not enough cores to give two workers one each: compare them by CPU per request.'
            : `Rows of workers: cores ${cores.pair}.`,
        ]),
    'Tollgate as by default, log level info, sent to /dev/null. CPU and RSS are those of all its threads and processes, without PostgreSQL.',
    'The naive way charges no caller that has left: its ledger holds at least the answers that callers got.',
  ];
}
