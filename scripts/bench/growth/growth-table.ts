// Growth for people: a Markdown table, and what one has to know to read it. Pure.

import { type Column, cellOf, tableOf } from '../table.ts';
import type { GrowthReport, StepReport } from './growth.ts';

const columns: readonly Column<StepReport>[] = [
  ['users', ({ users }) => String(users)],
  ['ledger rows', ({ users, charges }) => String(users + charges)],
  ['instances', ({ instances }) => String(instances)],
  ['callers', ({ callers }) => String(callers)],
  ['requests/s', ({ requestsPerSecond }) => cellOf(requestsPerSecond, 0)],
  ['ratio to the first', ({ ratio }) => cellOf(ratio, 2)],
  ['p99 ms', ({ p99Ms }) => cellOf(p99Ms, 2)],
  ['CPU µs/request', ({ cpuMicrosPerRequest }) => cellOf(cpuMicrosPerRequest, 0)],
  ['ms/exchange', ({ syncMs }) => cellOf(syncMs, 1)],
  ['round trips/1,000 charges', ({ roundTripsPer1000Charges }) => cellOf(roundTripsPer1000Charges, 1)],
  ['charged of answered', ({ charged, answered }) => `${charged} of ${answered}`],
];

/** The table, and under it how it was measured. Ends without a newline. */
export function renderGrowth({ steps, machine, cores, ...plan }: GrowthReport): string {
  const { store, rounds, seconds, connections } = plan;
  return [
    ...tableOf(columns, steps),
    '',
    `${rounds} × ${seconds} s per row, interleaved; ${connections} connections, shared among the instances; median (min–max). On ${store}.`,
    `${machine.node}, ${machine.system}, ${machine.processor}.`,
    cores === null
      ? 'The processes were not pinned to cores.'
      : `Pinned: all instances together to core ${cores.measured}; load, upstream and PostgreSQL to ${cores.others}.`,
    'The ledger is that of the filling, with an entry for each user; the audit has found every balance to be its sum.',
  ].join('\n');
}
