// What the pages have taken, as one document and as a table. Pure.

import type { Machine } from '../machine.ts';
import { type Spread, spreadOf } from '../report.ts';
import { type Column, tableOf } from '../table.ts';

/** How long a page may wait for its data. */
export const pageMaxMs = 100;

export interface PageReport {
  readonly title: string;
  readonly ms: Spread;
  /** In how many of the runs it took no longer than it may. */
  readonly inTime: number;
}

export interface PagesReport {
  readonly machine: Machine;
  readonly users: number;
  readonly rows: number;
  readonly runs: number;
  readonly pages: readonly PageReport[];
}

/** What the runs of one page say. */
export function reportPage(title: string, ms: readonly number[]): PageReport {
  return { title, ms: spreadOf(ms), inTime: ms.filter((each) => each <= pageMaxMs).length };
}

/** Those that take too long more often than not. */
export function slowPages({ pages }: PagesReport): PageReport[] {
  return pages.filter(({ ms }) => ms.median > pageMaxMs);
}

/** The table, and under it what it was measured on. Ends without a newline. */
export function renderPages({ pages, machine, users, rows, runs }: PagesReport): string {
  const columns: readonly Column<PageReport>[] = [
    ['page', ({ title }) => title],
    ['p50 ms', ({ ms }) => ms.median.toFixed(1)],
    ['max ms', ({ ms }) => ms.max.toFixed(1)],
    [`within ${pageMaxMs} ms`, ({ inTime }) => `${inTime} of ${runs}`],
  ];
  return [
    ...tableOf(columns, pages),
    '',
    `${runs} runs of each page, interleaved, the first ones included; several statements of a page are asked for at once, as the page does.`,
    `PostgreSQL with ${rows} entries in the ledger and ${users} users; 30 days of use, each user active in 8 hours a day, on one route or two of ten.`,
    `${machine.node}, ${machine.system}, ${machine.processor}.`,
  ].join('\n');
}
