// What Tollgate asks of PostgreSQL, counted on the wire: nothing for a warm caller before the upstream is reached, shown by
// calls that are answered while nothing comes through to the database; and how few round trips its charges take.

import { setTimeout } from 'node:timers/promises';
import { addCallers } from './callers.ts';
import { type Gateway, startGateway } from './gateway.ts';
import type { Ground } from './ground.ts';
import { runLoad } from './load.ts';
import type { Stage } from './stage.ts';
import { openWire, type Wire } from './wire.ts';

export interface WireReport {
  /** Calls of a warm caller that the upstream answered, one after another, while the wire was held. */
  readonly heldCalls: number;
  /** Statements that asked for a caller in the meantime. */
  readonly heldLookUps: number;
  /** Charges while every connection was busy, and how many a second. */
  readonly charges: number;
  readonly chargesPerSecond: number;
  readonly roundTripsPer1000Charges: number;
  readonly statementsPer1000Charges: number;
}

/** Shorter than the silence after which the store counts as down. */
const heldMs = 1_000;
/** A gateway that has started asks anew, once, about callers that it knows: not for a call, and within less than this. */
const settledAfterMs = 2_500;
const lookEveryMs = 50;
/** A call that waits for the database is given up then. */
const callMaxMs = 1_500;

/** Starts a gateway over the wire, with one caller, and counts. Throws when a call of a warm caller waits for the database. */
export async function countWire(stage: Stage, ground: Ground): Promise<WireReport> {
  const database = await ground.database();
  const [authorization = ''] = await addCallers(database, 1);
  const wire = await openWire(database);
  ground.whenClosed(wire.close);
  const { upstreamUrl: upstream, cores } = stage;
  const folder = await ground.folder();
  const gateway = await startGateway({ database: wire.url, folder, upstream, core: cores?.measured ?? null });
  try {
    const { load, connections, seconds, warmUpSeconds } = stage;
    const options = { url: `${gateway.url}/`, credentials: [authorization], connections };
    await runLoad(load, { ...options, seconds: warmUpSeconds });
    const held = await callWhileHeld(wire, gateway, authorization);
    // What was kept back in the meantime is none of the next count.
    await gateway.untilMetric('tollgate_journal_charges', 0);
    const [before, chargesBefore] = [wire.counts(), await gateway.metric('tollgate_charges_total')];
    const seen = await runLoad(load, { ...options, seconds });
    await gateway.untilMetric('tollgate_journal_charges', 0);
    const [after, chargesAfter] = [wire.counts(), await gateway.metric('tollgate_charges_total')];
    const charges = chargesAfter - chargesBefore;
    return {
      ...held,
      charges,
      chargesPerSecond: seen.good / seen.seconds,
      roundTripsPer1000Charges: ((after.roundTrips - before.roundTrips) / charges) * 1000,
      statementsPer1000Charges: ((after.statements - before.statements) / charges) * 1000,
    };
  } finally {
    await gateway.program.stop();
  }
}

async function callWhileHeld(
  wire: Wire,
  gateway: Gateway,
  authorization: string,
): Promise<Pick<WireReport, 'heldCalls' | 'heldLookUps'>> {
  await gateway.untilMetric('tollgate_journal_charges', 0);
  await untilNobodyIsAskedFor(wire);
  const before = wire.counts();
  // Each call costs one of the credits that the process has reserved: with all of them used, a caller is not warm.
  const callsMax = Math.max(1, Math.floor((await gateway.metric('tollgate_leased_credits')) / 2));
  wire.hold();
  try {
    const endMs = performance.now() + heldMs;
    let heldCalls = 0;
    while (performance.now() < endMs && heldCalls < callsMax) {
      const answer = await fetch(gateway.url, { headers: { authorization }, signal: AbortSignal.timeout(callMaxMs) });
      if (answer.status !== 200) throw new Error(`a warm caller was answered ${answer.status}`);
      await answer.arrayBuffer();
      heldCalls += 1;
    }
    return { heldCalls, heldLookUps: wire.counts().lookUps - before.lookUps };
  } finally {
    wire.letGo();
  }
}

async function untilNobodyIsAskedFor(wire: Wire): Promise<void> {
  let { lookUps } = wire.counts();
  let sinceMs = performance.now();
  while (performance.now() - sinceMs < settledAfterMs) {
    await setTimeout(lookEveryMs);
    const now = wire.counts().lookUps;
    if (now !== lookUps) sinceMs = performance.now();
    lookUps = now;
  }
}
