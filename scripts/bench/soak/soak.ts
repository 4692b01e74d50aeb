// The soak itself: a gateway at half of what it can do for a long time, with many users, callers that leave and an upstream
// that fails. Each minute is read as it ends; at the end no hold may be left, and the books must be right.

import { addCallers, chargesSince, withDatabase } from '../callers.ts';
import { type Gateway, startGateway } from '../gateway.ts';
import { Ground } from '../ground.ts';
import { runLoad } from '../load.ts';
import { describeMachine, type Machine, residentBytes } from '../machine.ts';
import { type Manner, type PacedLoad, runUnruly } from '../paced.ts';
import { runCommand } from '../programs.ts';
import { askUpstream, openStage, type Stage } from '../stage.ts';
import type { Delay } from './delay-probe.ts';
import { isFlat } from './flatness.ts';

export interface SoakPlan {
  readonly minutes: number;
  readonly users: number;
  readonly connections: number;
  readonly store: 'postgres' | 'sqlite';
  /** Calls a second; null: half of what the gateway can do. */
  readonly rate: number | null;
}

/** A minute, or what was left of the last one. */
export interface MinuteReport {
  readonly minute: number;
  readonly load: PacedLoad;
  readonly residentBytes: number | null;
  /** Of the event loop of the gateway. */
  readonly delay: Delay;
  readonly holdsOpen: number;
}

export interface SoakReport extends Omit<SoakPlan, 'rate'> {
  readonly machine: Machine;
  readonly rate: number;
  readonly minutesSeen: readonly MinuteReport[];
  /** Null when it was too short to tell. */
  readonly isFlat: boolean | null;
  /** Once all calls had ended. */
  readonly holdsLeft: number;
  /** Calls that the upstream answered with 2xx, and those that were charged. */
  readonly answered: number;
  readonly charged: number;
}

/** What is not the ordinary call, in hundredths. The late answer takes longer than those callers stay. */
const manners: readonly Manner[] = [
  { path: '/late', percent: 3, leavesAfterMs: 10 },
  { path: '/sse', percent: 2, leavesAfterMs: 1 },
  { path: '/100k', percent: 2, leavesAfterMs: 2 },
  { path: '/late', percent: 3, leavesAfterMs: null },
  { path: '/fails', percent: 3, leavesAfterMs: null },
  { path: '/dies', percent: 2, leavesAfterMs: null },
];

/** How long the gateway is driven as fast as it can, to know what half of that is. */
const fullLoadSecondsMax = 10;

/** Soaks; `onMinute` hears of each minute. Rejects when the audit of the program finds a difference. */
export async function runSoak(plan: SoakPlan, onMinute: (minute: MinuteReport) => void): Promise<SoakReport> {
  const { store, users, minutes, connections } = plan;
  const ground = new Ground();
  try {
    const stage = await openStage({ seconds: Math.min(fullLoadSecondsMax, minutes * 60), connections });
    ground.whenClosed(stage.close);
    const folder = await ground.folder();
    const database = store === 'postgres' ? await ground.database() : `sqlite:${folder}/books.db`;
    const credentials = await addCallers(database, users);
    const sinceMs = Date.now();
    const answeredBefore = await askUpstream(stage.upstream, 'answered');
    const core = stage.cores?.measured ?? null;
    const preload = './soak/delay-probe.js';
    const gateway = await startGateway({ database, folder, upstream: stage.upstreamUrl, core, preload });
    let seen: Omit<SoakReport, keyof SoakPlan | 'machine' | 'answered' | 'charged'> & { rate: number };
    try {
      const rate = plan.rate ?? (await halfOfTheMost(stage, gateway, credentials));
      const minutesSeen = await soak({ ...plan, rate }, stage, gateway, credentials, onMinute);
      await gateway.untilMetric('tollgate_holds_open', 0).catch(() => {});
      const resident = minutesSeen.flatMap(({ residentBytes }) => (residentBytes === null ? [] : [residentBytes]));
      seen = { rate, minutesSeen, isFlat: isFlat(resident), holdsLeft: await gateway.metric('tollgate_holds_open') };
    } finally {
      await gateway.program.stop();
    }
    await runCommand(['audit', '--config', `${folder}/gateway.yaml`]);
    const charged = await withDatabase(database, ({ db }) => chargesSince(db, sinceMs));
    const answered = (await askUpstream(stage.upstream, 'answered')) - answeredBefore;
    return { ...{ store, users, minutes, connections }, machine: describeMachine(), ...seen, answered, charged };
  } finally {
    await ground.close();
  }
}

async function halfOfTheMost(stage: Stage, { url }: Gateway, credentials: readonly string[]): Promise<number> {
  const { load, connections, seconds, warmUpSeconds } = stage;
  const options = { url: `${url}/`, credentials, connections };
  await runLoad(load, { ...options, seconds: warmUpSeconds });
  const most = await runLoad(load, { ...options, seconds });
  return Math.max(1, Math.round(most.good / most.seconds / 2));
}

async function soak(
  { minutes, connections, rate }: SoakPlan & { readonly rate: number },
  { pacedLoad }: Stage,
  { url, program, metric }: Gateway,
  credentials: readonly string[],
  onMinute: (minute: MinuteReport) => void,
): Promise<MinuteReport[]> {
  const seen: MinuteReport[] = [];
  let sent = 0;
  // What was late before the soak is none of it.
  await program.ask('delay');
  let secondsLeft = Math.max(1, Math.round(minutes * 60));
  for (let minute = 1; secondsLeft > 0; minute++) {
    const seconds = Math.min(60, secondsLeft);
    secondsLeft -= seconds;
    // Each minute goes on with the users where the last one has stopped.
    const firstCaller = sent % credentials.length;
    const options = { url: `${url}/`, credentials, connections, seconds, rate, manners, firstCaller };
    const load = await runUnruly(pacedLoad, options);
    sent += load.sent;
    const delay = (await program.ask('delay')) as Delay;
    const holdsOpen = await metric('tollgate_holds_open');
    const report = { minute, load, residentBytes: residentBytes(program.pid), delay, holdsOpen };
    seen.push(report);
    onMinute(report);
  }
  return seen;
}

/** What is wrong with what was seen, for people; empty when all is well. */
export function faultsOf({ isFlat, holdsLeft, answered, charged, minutesSeen }: SoakReport): string[] {
  const good = minutesSeen.reduce((sum, { load }) => sum + load.good, 0);
  return [
    ...(isFlat === false ? ['The memory of the gateway was not flat.'] : []),
    ...(holdsLeft > 0 ? [`${holdsLeft} holds were left.`] : []),
    ...(charged !== answered ? [`The upstream answered ${answered} calls with 2xx, and ${charged} were charged.`] : []),
    ...(good === 0 ? ['No call was answered with 2xx.'] : []),
  ];
}
