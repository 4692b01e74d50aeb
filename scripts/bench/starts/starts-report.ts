// What the starts have taken: medians and spreads of the rounds, and ratios within each round, as one document and as a
// table. Pure.

import type { Machine } from '../machine.ts';
import { ifKnown, type Spread, spreadOf } from '../report.ts';
import { type Column, cellOf, tableOf } from '../table.ts';

/** What is started, in the order of the table. */
const titles = {
  node: 'node -e 0',
  bare: 'bare @fastify/http-proxy, until it listens',
  help: 'tollgate --help',
  sqlite: 'tollgate start, SQLite, until it is ready',
  postgres: 'tollgate start, PostgreSQL, until it is ready',
} as const;

type StartName = keyof typeof titles;

/** One row in one round. */
export interface StartMeasurement {
  readonly row: StartName;
  readonly round: number;
  readonly ms: number;
  /** Processor time until then. Null where the system does not tell, or the process has ended. */
  readonly cpuMicros: number | null;
  /** Resident memory of the process when it has served nobody for a while. */
  readonly idleBytes: number | null;
}

interface StartRow {
  readonly name: StartName;
  readonly title: string;
  readonly ms: Spread;
  readonly cpuMicros: Spread | null;
  readonly idleBytes: Spread | null;
  /** How many times as long as an empty Node.js and as the bare proxy in the same round. */
  readonly ratioToNode: Spread;
  readonly ratioToBare: Spread;
}

export interface StartReport {
  readonly machine: Machine;
  readonly rounds: number;
  readonly rows: readonly StartRow[];
}

/** What the measurements say. Every row has been measured in every round. */
export function reportStarts(machine: Machine, measurements: readonly StartMeasurement[]): StartReport {
  const names = Object.keys(titles) as StartName[];
  const of = (name: StartName) => measurements.filter(({ row }) => row === name);
  const ratiosTo = (other: StartName, own: readonly StartMeasurement[]) => {
    const others = new Map(of(other).map(({ round, ms }) => [round, ms]));
    return spreadOf(own.map(({ round, ms }) => ms / (others.get(round) ?? Number.NaN)));
  };
  const rows = names.map((name): StartRow => {
    const own = of(name);
    return {
      name,
      title: titles[name],
      ms: spreadOf(own.map(({ ms }) => ms)),
      cpuMicros: ifKnown(own.map(({ cpuMicros }) => cpuMicros)),
      idleBytes: ifKnown(own.map(({ idleBytes }) => idleBytes)),
      ratioToNode: ratiosTo('node', own),
      ratioToBare: ratiosTo('bare', own),
    };
  });
  return { machine, rounds: of('node').length, rows };
}

const columns: readonly Column<StartRow>[] = [
  ['', ({ title }) => title],
  ['ms', ({ ms }) => cellOf(ms, 0)],
  ['CPU ms', ({ cpuMicros }) => cellOf(cpuMicros, 0, 1e3)],
  ['ratio to node', ({ ratioToNode }) => cellOf(ratioToNode, 1)],
  ['ratio to bare', ({ ratioToBare }) => cellOf(ratioToBare, 2)],
  ['idle RSS MB', ({ idleBytes }) => cellOf(idleBytes, 0, 1e6)],
];

/** The table, and under it how it was measured. Ends without a newline. */
export function renderStarts({ machine: { node, system, processor }, rounds, rows }: StartReport): string {
  const notes = [
    `${rounds} rounds, interleaved; median (min–max). The databases have their tables already.`,
    `${node}, ${system}, ${processor}.`,
  ];
  return [...tableOf(columns, rows), '', ...notes].join('\n');
}
