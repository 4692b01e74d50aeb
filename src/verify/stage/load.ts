// The load: callers that call, think and call again, each by chance of its own. Some leave before their answer is whole.
// Every call is written down before it is sent.

import { Agent } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { call } from './caller.ts';
import { type Player, type RouteName, routes } from './cast.ts';
import type { GatewayProcess } from './gateway-process.ts';
import { type Random, randomFrom } from './random.ts';
import type { CallRecord, Records } from './records.ts';
import { type Manner, manners } from './upstream.ts';

export interface LoadOptions {
  readonly cast: readonly Player[];
  readonly gateways: readonly GatewayProcess[];
  readonly records: Records;
  readonly seed: number;
  /** Callers for each of the cast. */
  readonly callersEach: number;
  /** Ends it: calls in flight go on to their own end. */
  readonly over: AbortSignal;
}

/** The longest pause between two calls of one caller. */
const thinkMaxMs = 800;
/** How long a caller waits when the gateway that it wants is down. */
const downPauseMs = 100;
/** Some leave at a whim. Most others do when it takes too long, as clients with a time-out of their own do. */
const whimMaxMs = 600;
const patienceMinMs = 1_500;
const patienceMaxMs = 3_500;

/** How often each manner is asked for, in a hundred. */
const weights: Readonly<Record<Manner, number>> = {
  quick: 60,
  streamed: 12,
  late: 8,
  fails: 6,
  missing: 3,
  dies: 4,
  resets: 3,
  hangs: 4,
};

/** Runs until it is over and every call has ended. */
export async function runLoad(options: LoadOptions): Promise<void> {
  const { cast, seed, callersEach } = options;
  const agent = new Agent({ keepAlive: true });
  const callers = cast.flatMap((player) => Array.from({ length: callersEach }, () => player));
  await Promise.all(callers.map((player, i) => runCaller(player, i, randomFrom(seed + 101 * (i + 1)), agent, options)));
  agent.destroy();
}

async function runCaller(player: Player, i: number, random: Random, agent: Agent, options: LoadOptions): Promise<void> {
  const { gateways, over } = options;
  for (let n = 1; !over.aborted; n++) {
    await pause(random.below(thinkMaxMs), over);
    if (over.aborted) return;
    const gateway = random.of(gateways);
    const route = random.percent(80) ? 'cheap' : 'dear';
    const manner = mannerBy(random.below(100));
    const leavesAfterMs = leavesAfter(random);
    const intent = { player, gateway, route, manner, leavesAfterMs, agent } as const;
    const made = await callOnce(`${i}-${n}`, intent, options.records);
    if (made === null || made.end === 'refused') await pause(downPauseMs, over);
  }
}

function leavesAfter(random: Random): number | null {
  if (random.percent(6)) return random.below(whimMaxMs);
  return random.percent(80) ? patienceMinMs + random.below(patienceMaxMs - patienceMinMs) : null;
}

export interface Intent {
  readonly player: Player;
  readonly gateway: GatewayProcess;
  readonly route: RouteName;
  readonly manner: Manner;
  readonly leavesAfterMs: number | null;
  readonly agent: Agent;
}

/** One call, written down; null when there is no gateway to call. */
export async function callOnce(id: string, intent: Intent, records: Records): Promise<CallRecord | null> {
  const { player, gateway, route, manner, leavesAfterMs, agent } = intent;
  const { address } = gateway;
  if (address === null) return null;
  const { id: key, secret } = player.key;
  // In one literal: what is put together of several gets a hidden class of its own, and to read many of those takes 30 times as long.
  const record: CallRecord = {
    id,
    user: player.user,
    key,
    gateway: gateway.name,
    route,
    cost: routes[route],
    startedAtMs: performance.now(),
    endedAtMs: Number.POSITIVE_INFINITY,
    end: 'open',
    status: null,
    code: null,
    hasRetryAfter: false,
    costSaid: null,
  };
  records.calls.push(record);
  await call({ address, path: `/${route}/${manner}`, secret, agent, leavesAfterMs }, record);
  return record;
}

function mannerBy(chance: number): Manner {
  let left = chance;
  for (const manner of manners) {
    left -= weights[manner];
    if (left < 0) return manner;
  }
  return 'quick';
}

/** A pause that ends early when it is over. */
export async function pause(ms: number, over: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal: over }).catch(() => {});
}
