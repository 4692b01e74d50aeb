// Growth itself: fills a database for each size, measures every step in every round, in turns, and lets the program's own
// audit look over each of the books.

import { addKeys, withDatabase } from '../callers.ts';
import { Ground } from '../ground.ts';
import { startLoad } from '../load.ts';
import { type Cores, describeMachine, type Machine } from '../machine.ts';
import { type Program, runCommand } from '../programs.ts';
import { type Spread, spreadOf } from '../report.ts';
import { openStage, type Pace, type Stage } from '../stage.ts';
import { fill, type Size, settleDown, userIdOf } from './fill.ts';
import { type Filled, measureStep, type Seen } from './measure.ts';
import { type Bounds, type Step, stepsOf } from './steps.ts';

export interface GrowthPlan extends Pace, Bounds {
  readonly rounds: number;
  readonly store: 'postgres' | 'sqlite';
  /** How many of the users call, where there are so many. */
  readonly callers: number;
}

export interface StepReport extends Step {
  readonly callers: number;
  readonly requestsPerSecond: Spread;
  /** As a multiple of what the first step had in the same round. */
  readonly ratio: Spread;
  readonly p99Ms: Spread;
  readonly cpuMicrosPerRequest: Spread | null;
  readonly syncMs: Spread;
  readonly roundTripsPer1000Charges: Spread;
  readonly answered: number;
  readonly charged: number;
}

export interface GrowthReport extends Pick<GrowthPlan, 'store' | 'rounds' | 'seconds' | 'connections'> {
  readonly machine: Machine;
  readonly cores: Cores | null;
  readonly steps: readonly StepReport[];
}

type Progress = (line: string) => void;

/** Measures all steps; `progress` hears of each. Throws when an answer was not 2xx, or an audit finds a difference. */
export async function runGrowth(plan: GrowthPlan, progress: Progress): Promise<GrowthReport> {
  const { rounds, seconds, connections, store } = plan;
  const ground = new Ground();
  try {
    const stage = await openStage({ seconds, connections });
    ground.whenClosed(stage.close);
    const loads = Array.from({ length: plan.maxInstances }, () => startLoad());
    for (const load of loads) ground.whenClosed(load.stop);
    const steps = stepsOf(plan);
    const databases = new Map<string, Filled>();
    for (const size of steps) {
      if (databases.has(nameOf(size))) continue;
      databases.set(nameOf(size), await fillOne(ground, size, plan));
      progress(`filled: ${nameOf(size)}`);
    }
    const seen = await measureAll(stage, loads, { steps, databases, rounds }, progress);
    for (const [name, { folders }] of databases) {
      await runCommand(['audit', '--config', `${folders[0]}/gateway.yaml`]);
      progress(`audited: ${name}`);
    }
    const machine = describeMachine();
    const reports = steps.map((step, i) => reportStep(step, plan.callers, seen[i] ?? [], seen[0] ?? []));
    return { store, rounds, seconds, connections, machine, cores: stage.cores, steps: reports };
  } finally {
    await ground.close();
  }
}

async function fillOne(ground: Ground, size: Size, { store, callers, maxInstances }: GrowthPlan): Promise<Filled> {
  const folders: string[] = [];
  for (let i = 0; i < maxInstances; i++) folders.push(await ground.folder());
  const url = store === 'postgres' ? await ground.database() : `sqlite:${await ground.folder()}/books.db`;
  return withDatabase(url, async (database) => {
    await fill(database, size);
    const count = Math.min(callers, size.users);
    // Evenly over all of them.
    const users = Array.from({ length: count }, (_, i) => userIdOf(Math.floor((i * size.users) / count)));
    const credentials = await addKeys(database.db, users);
    await settleDown(database);
    return { url, folders, credentials };
  });
}

/** What was seen of each step, in the order of the steps. */
async function measureAll(
  stage: Stage,
  loads: readonly Program[],
  { steps, databases, rounds }: { steps: readonly Step[]; databases: ReadonlyMap<string, Filled>; rounds: number },
  progress: Progress,
): Promise<Seen[][]> {
  const seen: Seen[][] = steps.map(() => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [i, step] of steps.entries()) {
      const database = databases.get(nameOf(step));
      if (database === undefined) throw new Error(`${nameOf(step)} was not filled`);
      const found = await measureStep(stage, loads.slice(0, step.instances), database);
      seen[i]?.push(found);
      const speed = `${Math.round(found.requestsPerSecond)} requests/s, ${found.syncMs.toFixed(1)} ms an exchange`;
      progress(`round ${round} of ${rounds}: ${nameOf(step)}, ${step.instances} instances: ${speed}`);
    }
  }
  return seen;
}

function nameOf({ users, charges }: Size): string {
  return `${users} users, ${charges} charges`;
}

function reportStep(step: Step, callers: number, seen: readonly Seen[], first: readonly Seen[]): StepReport {
  const spread = (read: (of: Seen, round: number) => number) => spreadOf(seen.map(read));
  const cpu = seen.map((of) => of.cpuMicrosPerRequest).filter((micros) => micros !== null);
  const total = (read: (of: Seen) => number) => seen.reduce((sum, of) => sum + read(of), 0);
  return {
    ...step,
    callers: Math.min(callers, step.users),
    requestsPerSecond: spread((of) => of.requestsPerSecond),
    ratio: spread((of, round) => of.requestsPerSecond / (first[round]?.requestsPerSecond ?? Number.NaN)),
    p99Ms: spread((of) => of.p99Ms),
    cpuMicrosPerRequest: cpu.length === seen.length ? spreadOf(cpu) : null,
    syncMs: spread((of) => of.syncMs),
    roundTripsPer1000Charges: spread((of) => of.roundTripsPer1000Charges),
    answered: total((of) => of.answered),
    charged: total((of) => of.charged),
  };
}
