// What the bench found: medians and spreads of the rounds, as one document. Pure.

import type { Load } from './load.ts';
import type { Cores, Machine } from './machine.ts';
import type { Books, Row } from './row.ts';
import type { WireReport } from './wire-count.ts';

/** The row that the others are compared with where they name none. */
export const bareRow = 'bare';

/** One row in one round. */
export interface Measurement {
  readonly row: string;
  readonly round: number;
  readonly load: Load;
  /** Null where the system does not tell, or no process is measured. */
  readonly cpuMicros: number | null;
  readonly peakResidentBytes: number | null;
  /** Answers of 2xx that callers got, those to the warming up included. */
  readonly delivered: number;
  /** Answers of 2xx that the upstream gave, also to callers that had left. */
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
  /** As multiples of what the baseline had in the same round; null without it. */
  readonly ratios: Readonly<Record<Measure, Spread | null>>;
  readonly books: Books;
  readonly delivered: number;
  readonly answered: number;
  readonly charged: number | null;
}

/** A number that answers a question, such as how often one row is faster than another. */
export interface Figure {
  readonly title: string;
  readonly value: Spread;
}

export interface Report {
  readonly machine: Machine;
  /** Null when the system placed the processes. */
  readonly cores: Cores | null;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly connections: number;
  readonly rows: readonly RowReport[];
  /** At half of what the bare proxy can do; null when that was not measured. */
  readonly halfLoad: { readonly rate: number; readonly rows: readonly RowReport[] } | null;
  readonly wire: WireReport | null;
  readonly figures: readonly Figure[];
}

/** What rows are compared by. */
export type Measure = 'requestsPerSecond' | 'cpuMicrosPerRequest' | 'p99Ms';

const measures: Readonly<Record<Measure, (of: Measurement) => number | null>> = {
  requestsPerSecond: ({ load }) => load.good / load.seconds,
  cpuMicrosPerRequest: ({ cpuMicros, load }) => (cpuMicros === null ? null : cpuMicros / load.good),
  p99Ms: ({ load }) => load.p99Ms,
};

/** What the measurements say about one row. */
export function reportRow(
  name: string,
  { title, baseline = bareRow, books = 'exact' }: Pick<Row, 'title' | 'baseline' | 'books'>,
  measurements: readonly Measurement[],
): RowReport {
  const own = measurements.filter(({ row }) => row === name);
  const ratio = (measure: Measure) => compareRows(measurements, name, baseline, measure);
  return {
    name,
    title,
    requestsPerSecond: spreadOf(own.map(({ load }) => load.good / load.seconds)),
    p50Ms: spreadOf(own.map(({ load }) => load.p50Ms)),
    p99Ms: spreadOf(own.map(({ load }) => load.p99Ms)),
    cpuMicrosPerRequest: ifKnown(own.map(measures.cpuMicrosPerRequest)),
    peakResidentBytes: ifKnown(own.map((of) => of.peakResidentBytes)),
    ratios: {
      requestsPerSecond: ratio('requestsPerSecond'),
      cpuMicrosPerRequest: ratio('cpuMicrosPerRequest'),
      p99Ms: ratio('p99Ms'),
    },
    books,
    delivered: sum(own.map(({ delivered }) => delivered)),
    answered: sum(own.map(({ answered }) => answered)),
    charged: own.some(({ charged }) => charged === null) ? null : sum(own.map(({ charged }) => charged ?? 0)),
  };
}

/** One row as a multiple of another, round by round; null where one of them was not measured. */
export function compareRows(
  measurements: readonly Measurement[],
  name: string,
  base: string,
  measure: Measure,
): Spread | null {
  const of = (row: string) => measurements.filter((each) => each.row === row);
  const bases = new Map(of(base).map((each) => [each.round, measures[measure](each)]));
  return ifKnown(
    of(name).map((each) => {
      const [value, other] = [measures[measure](each), bases.get(each.round) ?? null];
      return value === null || other === null || other === 0 ? null : value / other;
    }),
  );
}

/** Null unless every round has a value. */
export function ifKnown(values: readonly (number | null)[]): Spread | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 && known.length === values.length ? spreadOf(known) : null;
}

/** The middle and the ends. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return { median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, min: at(0), max: at(sorted.length - 1) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Rows whose ledger does not hold what it must. */
export function wrongBooks({ rows, halfLoad }: Pick<Report, 'rows' | 'halfLoad'>): RowReport[] {
  return [...rows, ...(halfLoad?.rows ?? [])].filter(({ books, delivered, answered, charged }) => {
    if (charged === null) return false;
    return books === 'exact' ? charged !== answered : charged < delivered || charged > answered;
  });
}
