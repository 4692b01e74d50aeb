// One step in one round: gateways that share a database of some size, each with a load of its own.

import { chargesSince, withDatabase } from '../callers.ts';
import { type Gateway, startGateway } from '../gateway.ts';
import { type Load, runLoad } from '../load.ts';
import { cpuTimeMicros } from '../machine.ts';
import type { Program } from '../programs.ts';
import { askUpstream, type Stage } from '../stage.ts';

/** A database that is filled. */
export interface Filled {
  readonly url: string;
  /** For the files of each gateway. */
  readonly folders: readonly string[];
  /** Those who call: values of Authorization. */
  readonly credentials: readonly string[];
}

/** What was seen in one round. */
export interface Seen {
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  readonly cpuMicrosPerRequest: number | null;
  /** How long an exchange with the database took, on the average. */
  readonly syncMs: number;
  readonly roundTripsPer1000Charges: number;
  readonly answered: number;
  readonly charged: number;
}

/** Reading under locks, and writing with the end of the transaction. */
const roundTripsPerExchange = 2;

interface Counters {
  readonly exchanges: number;
  readonly seconds: number;
  readonly charges: number;
}

/** Starts so many gateways, one for each load, warms up, measures and counts. */
export async function measureStep(stage: Stage, loads: readonly Program[], database: Filled): Promise<Seen> {
  const { upstream, upstreamUrl, cores } = stage;
  const sinceMs = Date.now();
  const answeredBefore = await askUpstream(upstream, 'answered');
  const gateways: Gateway[] = [];
  let seen: Omit<Seen, 'answered' | 'charged'>;
  try {
    for (const [i] of loads.entries()) {
      const folder = database.folders[i] ?? '';
      const terms = { database: database.url, folder, upstream: upstreamUrl, core: cores?.measured ?? null };
      gateways.push(await startGateway(terms));
    }
    seen = await runAll(stage, loads, gateways, database.credentials);
  } finally {
    for (const { program } of gateways) await program.stop();
  }
  const answered = (await askUpstream(upstream, 'answered')) - answeredBefore;
  const charged = await withDatabase(database.url, ({ db }) => chargesSince(db, sinceMs));
  return { ...seen, answered, charged };
}

async function runAll(
  { connections, seconds, warmUpSeconds }: Stage,
  loads: readonly Program[],
  gateways: readonly Gateway[],
  credentials: readonly string[],
): Promise<Omit<Seen, 'answered' | 'charged'>> {
  const share = Math.max(1, Math.floor(connections / gateways.length));
  const run = (seconds: number): Promise<Load[]> => {
    const options = { credentials, connections: share, seconds };
    return Promise.all(gateways.map(({ url }, i) => runLoad(loads[i] as Program, { ...options, url: `${url}/` })));
  };
  // They share a core, and each has a compiler to be done with.
  await run(warmUpSeconds * gateways.length);
  const [before, cpuBefore] = [await countersOf(gateways), cpuOf(gateways)];
  const found = await run(seconds);
  const cpuAfter = cpuOf(gateways);
  // The charges of the last moments are on their way, and belong to what is counted.
  for (const gateway of gateways) await gateway.untilMetric('tollgate_journal_charges', 0);
  const after = await countersOf(gateways);
  const good = found.reduce((sum, load) => sum + load.good, 0);
  const exchanges = after.exchanges - before.exchanges;
  return {
    requestsPerSecond: found.reduce((sum, load) => sum + load.good / load.seconds, 0),
    p99Ms: Math.max(...found.map(({ p99Ms }) => p99Ms)),
    cpuMicrosPerRequest: cpuBefore === null || cpuAfter === null ? null : (cpuAfter - cpuBefore) / good,
    syncMs: ((after.seconds - before.seconds) / exchanges) * 1000,
    roundTripsPer1000Charges: ((roundTripsPerExchange * exchanges) / (after.charges - before.charges)) * 1000,
  };
}

async function countersOf(gateways: readonly Gateway[]): Promise<Counters> {
  const sum = async (name: string) => {
    const values = await Promise.all(gateways.map((gateway) => gateway.metric(name)));
    return values.reduce((total, value) => total + value, 0);
  };
  return {
    exchanges: await sum('tollgate_sync_seconds_count'),
    seconds: await sum('tollgate_sync_seconds_sum'),
    charges: await sum('tollgate_sync_charges_sum'),
  };
}

function cpuOf(gateways: readonly Gateway[]): number | null {
  const times = gateways.map(({ program }) => cpuTimeMicros(program.pid));
  return times.reduce<number | null>((sum, time) => (sum === null || time === null ? null : sum + time), 0);
}
