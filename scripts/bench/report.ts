// What the bench found: medians and spreads of the rounds, as one document and as a table. Pure.

import type { Load } from './load.ts';
import type { Cores } from './machine.ts';

/** The row that the others are compared with. */
const bareRow = 'bare';

/** One row in one round. */
export interface Measurement {
  readonly row: string;
  readonly round: number;
  readonly load: Load;
  /** Null where the system does not tell, or no process is measured. */
  readonly cpuMicros: number | null;
  readonly peakResidentBytes: number | null;
  /** Answers that the upstream gave, those to the warming up included; all of them are 2xx. */
  readonly answered: number;
  /** Charges in the ledger, or null on rows without one. */
  readonly charged: number | null;
}

/** Over the rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface RowReport {
  readonly name: string;
  readonly title: string;
  readonly requestsPerSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  readonly cpuMicrosPerRequest: Spread | null;
  readonly peakResidentBytes: Spread | null;
  /** Requests per second as a multiple of the bare proxy's in the same round. */
  readonly ratio: Spread | null;
  readonly answered: number;
  readonly charged: number | null;
}

export interface Report {
  readonly machine: { readonly node: string; readonly system: string; readonly processor: string };
  /** Null when the system placed the processes. */
  readonly cores: Cores | null;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly connections: number;
  readonly rows: readonly RowReport[];
}

/** What the measurements say about one row. `title` is for people. */
export function reportRow(name: string, title: string, measurements: readonly Measurement[]): RowReport {
  const own = measurements.filter(({ row }) => row === name);
  const speedOfBare = new Map(measurements.filter(({ row }) => row === bareRow).map((of) => [of.round, speedOf(of)]));
  return {
    name,
    title,
    requestsPerSecond: spreadOf(own.map(speedOf)),
    p50Ms: spreadOf(own.map(({ load }) => load.p50Ms)),
    p99Ms: spreadOf(own.map(({ load }) => load.p99Ms)),
    cpuMicrosPerRequest: ifKnown(own.map(({ cpuMicros, load }) => (cpuMicros === null ? null : cpuMicros / load.good))),
    peakResidentBytes: ifKnown(own.map((of) => of.peakResidentBytes)),
    ratio: ifKnown(own.map((of) => ratioOf(speedOf(of), speedOfBare.get(of.round)))),
    answered: sum(own.map(({ answered }) => answered)),
    charged: own.some(({ charged }) => charged === null) ? null : sum(own.map(({ charged }) => charged ?? 0)),
  };
}

function speedOf({ load }: Measurement): number {
  return load.good / load.seconds;
}

function ratioOf(speed: number, bare: number | undefined): number | null {
  return bare === undefined ? null : speed / bare;
}

/** Null unless every round has a value. */
function ifKnown(values: readonly (number | null)[]): Spread | null {
  const known = values.filter((value) => value !== null);
  return known.length === values.length ? spreadOf(known) : null;
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return { median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, min: at(0), max: at(sorted.length - 1) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Rows whose ledger does not hold exactly one charge for each answer of the upstream. */
export function wrongBooks({ rows }: Report): RowReport[] {
  return rows.filter(({ answered, charged }) => charged !== null && charged !== answered);
}
