// What all measurements share: the cores, the load and the upstream, each started once, and how one of them is made:
// start, warm up, measure, stop, count.

import { type Load, type LoadOptions, runLoad, startLoad } from './load.ts';
import { type Cores, cpuTimeMicros, divideCores, peakResidentBytes } from './machine.ts';
import { runPacedLoad, startPacedLoad } from './paced.ts';
import { type Program, startProgram } from './programs.ts';
import type { Measurement } from './report.ts';
import type { Row, Start } from './row.ts';
import type { UpstreamQuestion } from './upstream.ts';

/** How long, and with how much. */
export interface Pace {
  /** How long each row is measured in each round. */
  readonly seconds: number;
  readonly connections: number;
}

export interface Stage extends Pace {
  readonly warmUpSeconds: number;
  readonly cores: Cores | null;
  readonly load: Program;
  readonly pacedLoad: Program;
  readonly upstream: Program;
  readonly upstreamUrl: string;
  close(): Promise<void>;
}

/**
 * How long a process is under load before it is measured: until the compiler is done with the hot path, the cost of a call
 * falls from second to second.
 */
const warmUpSecondsMax = 6;

/** Divides the cores and starts load and upstream on those that are left for them. */
export async function openStage(pace: Pace): Promise<Stage> {
  // First: the programs inherit the cores that are left to the bench.
  const cores = divideCores();
  const [load, pacedLoad, upstream] = [startLoad(), startPacedLoad(), startProgram('./upstream.js', [])];
  return {
    ...pace,
    warmUpSeconds: Math.min(2 * pace.seconds, warmUpSecondsMax),
    cores,
    load,
    pacedLoad,
    upstream,
    upstreamUrl: `http://127.0.0.1:${await askUpstream(upstream, 'port')}`,
    close: async () => {
      for (const program of [upstream, pacedLoad, load]) await program.stop();
    },
  };
}

/** Asks the upstream for a number. */
export async function askUpstream(upstream: Program, question: UpstreamQuestion): Promise<number> {
  return (await upstream.ask(question)) as number;
}

/** An opened row. */
export interface Entrant {
  readonly name: string;
  readonly row: Row;
  readonly start: Start;
}

/** One row, one round: as fast as it can, or with a rate at so many calls a second. Throws when an answer was not 2xx. */
export async function measure(
  stage: Stage,
  { name, row, start }: Entrant,
  { round, rate = null }: { readonly round: number; readonly rate?: number | null },
): Promise<Measurement> {
  const { upstream, cores, connections, seconds, warmUpSeconds } = stage;
  const answeredBefore = await askUpstream(upstream, 'answered');
  const core = (row.isPair === true ? cores?.pair : null) ?? cores?.measured ?? null;
  const subject = await start({ upstream: stage.upstreamUrl, core });
  let charged: number | null = null;
  let measured: Omit<Measurement, 'row' | 'round' | 'charged' | 'answered'>;
  try {
    const { url, credentials, pid } = subject;
    const options: LoadOptions = { url: url + (row.path ?? '/'), credentials, connections, seconds };
    const run = (seconds: number) => runAt(stage, { ...options, seconds }, rate);
    const warmUp = await run(warmUpSeconds * (row.processes ?? 1));
    const cpuBefore = pid === null ? null : cpuTimeMicros(pid);
    const load = await run(seconds);
    const cpuAfter = pid === null ? null : cpuTimeMicros(pid);
    measured = {
      load,
      cpuMicros: cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore,
      peakResidentBytes: pid === null ? null : peakResidentBytes(pid),
      delivered: warmUp.good + load.good,
    };
  } finally {
    charged = await subject.stop();
  }
  // Counted once the subject has stopped: by then every call that the load left behind has ended.
  const answered = (await askUpstream(upstream, 'answered')) - answeredBefore;
  return { ...measured, row: name, round, charged, answered };
}

function runAt({ load, pacedLoad }: Stage, options: LoadOptions, rate: number | null): Promise<Load> {
  return rate === null ? runLoad(load, options) : runPacedLoad(pacedLoad, { ...options, rate });
}
