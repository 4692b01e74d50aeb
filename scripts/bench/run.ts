// The bench itself: opens what it needs, measures every row in every round, in turns, and closes what it opened.

import { cpus, release, type } from 'node:os';
import { type LoadOptions, runLoad, startLoad } from './load.ts';
import { type Cores, cpuTimeMicros, divideCores, peakResidentBytes } from './machine.ts';
import { type Program, startProgram } from './programs.ts';
import { type Measurement, type Report, reportRow } from './report.ts';
import type { OpenRow, Row } from './row.ts';
import type { UpstreamQuestion } from './upstream.ts';

export interface Plan {
  readonly rounds: number;
  /** How long each row is measured in each round. */
  readonly seconds: number;
  readonly connections: number;
  /** By name, in the order in which they are measured. */
  readonly rows: ReadonlyMap<string, Row>;
}

/** What stays the same for all rows. */
interface Stage extends Omit<Plan, 'rounds' | 'rows'> {
  readonly warmUpSeconds: number;
  readonly cores: Cores | null;
  readonly load: Program;
  readonly upstream: Program;
  readonly upstreamUrl: string;
}

/** How long a process is under load before it is measured: enough for the compiler to be done with the hot path. */
const warmUpSecondsMax = 2;

/** Measures all rows; `progress` hears of each measurement. Throws when an answer was not 2xx. */
export async function runBench({ rounds, rows, ...plan }: Plan, progress: (line: string) => void): Promise<Report> {
  const closers: (() => Promise<void>)[] = [];
  try {
    const stage = await openStage(plan, closers);
    const open = new Map<string, OpenRow>();
    for (const [name, row] of rows) {
      const opened = await row.open();
      closers.push(opened.close);
      open.set(name, opened);
    }
    const measurements: Measurement[] = [];
    for (let round = 1; round <= rounds; round++) {
      for (const [name, row] of open) {
        const measured = await measure(stage, row);
        measurements.push({ row: name, round, ...measured });
        const speed = Math.round(measured.load.good / measured.load.seconds);
        progress(`round ${round} of ${rounds}: ${rows.get(name)?.title}: ${speed} requests/s`);
      }
    }
    return {
      machine: machine(),
      cores: stage.cores,
      rounds,
      seconds: stage.seconds,
      warmUpSeconds: stage.warmUpSeconds,
      connections: stage.connections,
      rows: [...rows].map(([name, { title }]) => reportRow(name, title, measurements)),
    };
  } finally {
    // The last that was opened is closed first.
    for (const close of closers.reverse()) await close();
  }
}

async function openStage(plan: Omit<Plan, 'rounds' | 'rows'>, closers: (() => Promise<void>)[]): Promise<Stage> {
  // First: the programs inherit the cores that are left to the bench.
  const cores = divideCores();
  const load = startLoad();
  closers.push(load.stop);
  const upstream = startProgram('./upstream.js', []);
  closers.push(upstream.stop);
  const upstreamUrl = `http://127.0.0.1:${await askUpstream(upstream, 'port')}`;
  return { ...plan, warmUpSeconds: Math.min(plan.seconds, warmUpSecondsMax), cores, load, upstream, upstreamUrl };
}

/** One row, one round: start, warm up, measure, stop, count. */
async function measure(stage: Stage, row: OpenRow): Promise<Omit<Measurement, 'row' | 'round'>> {
  const { load, upstream, connections, seconds, warmUpSeconds } = stage;
  const answeredBefore = await askUpstream(upstream, 'answered');
  const subject = await row.start({ upstream: stage.upstreamUrl, core: stage.cores?.measured ?? null });
  let charged: number | null = null;
  let measured: Pick<Measurement, 'load' | 'cpuMicros' | 'peakResidentBytes'>;
  try {
    const { url, headers, pid } = subject;
    const options: LoadOptions = { url, headers, connections, seconds };
    await runLoad(load, { ...options, seconds: warmUpSeconds });
    const cpuBefore = pid === null ? null : cpuTimeMicros(pid);
    const seen = await runLoad(load, options);
    const cpuAfter = pid === null ? null : cpuTimeMicros(pid);
    measured = {
      load: seen,
      cpuMicros: cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore,
      peakResidentBytes: pid === null ? null : peakResidentBytes(pid),
    };
  } finally {
    charged = await subject.stop();
  }
  // Counted once the subject has stopped: by then every call that the load left behind has ended.
  return { ...measured, charged, answered: (await askUpstream(upstream, 'answered')) - answeredBefore };
}

async function askUpstream(upstream: Program, question: UpstreamQuestion): Promise<number> {
  return (await upstream.ask(question)) as number;
}

function machine(): Report['machine'] {
  const cores = cpus();
  return {
    node: `Node ${process.version}`,
    system: `${type()} ${release()}`,
    processor: `${cores.length} × ${cores[0]?.model ?? 'unknown processor'}`,
  };
}
