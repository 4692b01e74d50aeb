// The bench itself: opens what it needs, measures every row in every round, in turns, and closes what it opened. Then the
// rows at half load, in turns again, and what goes over the wire to the database.

import { figuresOf } from './figures.ts';
import { Ground } from './ground.ts';
import { describeMachine } from './machine.ts';
import { bareRow, type Measurement, type Report, reportRow, spreadOf } from './report.ts';
import type { Row } from './row.ts';
import { type Entrant, measure, openStage, type Pace, type Stage } from './stage.ts';
import { countWire } from './wire-count.ts';

/** `half`: those of `halfRows` at a fixed rate; `wire`: what is asked of the database. */
export type Part = 'half' | 'wire';

export interface Plan extends Pace {
  readonly rounds: number;
  /** By name, in the order in which they are measured. */
  readonly rows: ReadonlyMap<string, Row>;
  /** Beside the rows, which are always measured. */
  readonly parts: ReadonlySet<Part>;
}

/** Those whose latency is measured at half of what the bare proxy can do. */
const halfRows = [bareRow, 'sqlite', 'postgres'];

type Progress = (line: string) => void;

/** Measures all rows; `progress` hears of each measurement. Throws when an answer was not 2xx. */
export async function runBench({ rounds, rows, parts, ...pace }: Plan, progress: Progress): Promise<Report> {
  const ground = new Ground();
  try {
    const stage = await openStage(pace);
    ground.whenClosed(stage.close);
    const entrants: Entrant[] = [];
    for (const [name, row] of rows) entrants.push({ name, row, start: await row.open(ground) });
    const full = await measureAll(stage, entrants, { rounds, rate: null }, progress);
    const halfEntrants = parts.has('half') ? entrants.filter(({ name }) => halfRows.includes(name)) : [];
    const bare = full.filter(({ row }) => row === bareRow).map(({ load }) => load.good / load.seconds);
    const rate = Math.round(spreadOf(bare).median / 2);
    const isHalf = halfEntrants.length > 0 && bare.length > 0;
    const half = isHalf ? await measureAll(stage, halfEntrants, { rounds, rate }, progress) : [];
    const wire = parts.has('wire') ? await countWire(stage, ground) : null;
    const { cores, seconds, warmUpSeconds, connections } = stage;
    return {
      ...{ machine: describeMachine(), cores, rounds, seconds, warmUpSeconds, connections },
      rows: entrants.map(({ name, row }) => reportRow(name, row, full)),
      halfLoad: isHalf ? { rate, rows: halfEntrants.map(({ name, row }) => reportRow(name, row, half)) } : null,
      wire,
      figures: figuresOf(full, half),
    };
  } finally {
    await ground.close();
  }
}

async function measureAll(
  stage: Stage,
  entrants: readonly Entrant[],
  { rounds, rate }: { readonly rounds: number; readonly rate: number | null },
  progress: Progress,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const entrant of entrants) {
      const measured = await measure(stage, entrant, { round, rate });
      measurements.push(measured);
      const { load } = measured;
      const speed = `${Math.round(load.good / load.seconds)} requests/s, p99 ${load.p99Ms.toFixed(1)} ms`;
      progress(`round ${round} of ${rounds}${rate === null ? '' : ', half load'}: ${entrant.row.title}: ${speed}`);
    }
  }
  return measurements;
}
