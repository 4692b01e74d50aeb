// The books at the end, by plain SQL: balances, what people did, what is left reserved; and how low balances went, held
// against what the named causes allow.

import type { BookedChange, Standing } from '../../store/proof.ts';
import type { Player } from '../stage/cast.ts';
import type { BadExit, CallRecord, FaultRecord, Records } from '../stage/records.ts';
import { count, type Finding, finding } from './finding.ts';

/** What was read of the database when all gateways had stopped. */
export interface FinalBooks {
  readonly users: number;
  /** Users whose balance is not the sum of their ledger, in words. */
  readonly differences: readonly string[];
  readonly entries: number;
  readonly changes: readonly BookedChange[];
  readonly standings: readonly Standing[];
  readonly leftover: { readonly leases: number; readonly instances: number };
  /** Charges that gateways had not handed in when they should have, in words. */
  readonly notHandedIn: readonly string[];
}

export function judgeBooks(records: Records, books: FinalBooks, cast: readonly Player[]): Finding[] {
  const { users, differences, entries, leftover, notHandedIn } = books;
  const looks = `${count(entries, 'line')} of ledger, ${count(users, 'user')}, ${count(records.looks, 'look')} on the way`;
  const left = [
    ...(leftover.leases === 0 ? [] : [`${count(leftover.leases, 'lease')} left by gateways that have stopped`]),
    ...(leftover.instances === 0 ? [] : [`${count(leftover.instances, 'instance')} not fenced at the end`]),
  ];
  return [
    finding('Every balance is the sum of its ledger', looks, [...records.sights, ...differences]),
    judgeDepths(records, books, cast),
    judgeDeeds(records, books.changes),
    finding('Every charge is handed in, and nothing stays reserved', 'no lease, no instance left', [
      ...notHandedIn,
      ...left,
    ]),
    judgeGateways(records),
  ];
}

/** Balances below zero, each with its causes. */
function judgeDepths(records: Records, { standings }: FinalBooks, cast: readonly Player[]): Finding {
  const broken: string[] = [];
  const bounded: string[] = [];
  let below = 0;
  for (const { user, credits } of standings) {
    const lowest = Math.min(credits, records.lowest.get(user) ?? credits);
    if (lowest >= 0) continue;
    below += 1;
    const player = cast.find((each) => each.user === user);
    const causes = causesOf(user, player?.credits ?? 0, records);
    const most = causes.reduce((sum, cause) => sum + cause.most, 0);
    const role = player?.role ?? 'unknown';
    const because = causes.map((cause) => `${cause.what} (at most ${cause.most})`).join('; ');
    const told = `a balance (${role}) went to ${lowest}: ${because || 'no cause'}`;
    if (-lowest > most) broken.push(`${told}; that explains ${most} at most`);
    else bounded.push(told);
  }
  return finding(
    'A balance goes below zero only by a named cause, within its bound',
    `${count(below, 'balance')} below zero`,
    broken,
    bounded,
  );
}

interface Cause {
  readonly what: string;
  readonly most: number;
}

/** What may have taken a balance below zero, and how far at most. */
function causesOf(user: string, startingCredits: number, records: Records): Cause[] {
  const { edits, faults } = records;
  let edited = 0;
  for (const { user: of, met } of edits) {
    if (of === user && met !== null) edited += Math.max(0, met.reserved - Math.max(0, met.after));
  }
  let reserved = 0;
  for (const fault of faults) reserved += reservedBy(fault, user);
  return [
    { what: 'lowered by hand below what calls had reserved', most: edited },
    { what: 'gateways killed, or cut off from the others with their leases', most: reserved },
    { what: 'served while the database was away', most: allowedTo(user, startingCredits, records) },
  ].filter(({ most }) => most > 0);
}

/** What the gateways that it hit had reserved for a user. */
function reservedBy({ standings, gateways, instances }: FaultRecord, user: string): number {
  const hit = new Set(gateways.map((gateway) => instances[gateway]));
  return largest(standings, user, ({ leases }) =>
    leases.reduce((sum, { instance, amount }) => sum + (hit.has(instance) ? amount : 0), 0),
  );
}

/** A lock hits gateways where it is one of the whole file. */
const databaseFaults = new Set(['cut', 'refuse', 'silence', 'lock', 'server-stop', 'server-kill']);
/** How much later than the database a gateway is back, which tries about once a second. */
const backWithinMs = 3_000;

/**
 * What allowances can have cost: in each outage, on each gateway that it hit, at most what calls of the user cost that were let
 * through there, and at most the largest balance that the user ever had.
 */
function allowedTo(user: string, startingCredits: number, { faults, calls, served, grants, edits }: Records): number {
  const granted = grants.reduce((sum, grant) => sum + (grant.user === user ? grant.amount : 0), 0);
  const mine = edits.filter((edit) => edit.user === user);
  const largestBalance = granted + Math.max(startingCredits, ...mine.map(({ met }) => met?.after ?? 0));
  const forwarded = calls.filter((call) => call.user === user && served.has(call.id));
  const outages = faults.filter(({ kind }) => databaseFaults.has(kind));
  return outages.reduce((sum, { gateways, startedAtMs, endedAtMs }) => {
    const isIn = (call: CallRecord) => call.startedAtMs >= startedAtMs && call.startedAtMs <= endedAtMs + backWithinMs;
    const met = forwarded.filter(isIn);
    const costs = gateways.map((gateway) =>
      met.reduce((all, call) => all + (call.gateway === gateway ? call.cost : 0), 0),
    );
    return sum + costs.reduce((all, cost) => all + Math.min(cost, largestBalance), 0);
  }, 0);
}

function largest(standings: FaultRecord['standings'], user: string, of: (standing: Standing) => number): number {
  let most = 0;
  for (const moment of standings) {
    const mine = moment.find((standing) => standing.user === user);
    if (mine !== undefined) most = Math.max(most, of(mine));
  }
  return most;
}

/** Each grant once, each edit with an adjustment of its difference. */
function judgeDeeds({ grants, edits }: Records, changes: readonly BookedChange[]): Finding {
  const broken: string[] = [];
  const ofUser = (user: string, kind: string) =>
    changes.filter((change) => change.user === user && change.kind === kind);
  for (const user of new Set(grants.map((grant) => grant.user))) {
    const due = grants.filter((grant) => grant.user === user);
    const booked = ofUser(user, 'grant');
    if (sum(booked) !== sum(due) || booked.length !== due.length) {
      broken.push(
        `user ${user} was granted ${sum(due)} in ${due.length}, the ledger says ${sum(booked)} in ${booked.length}`,
      );
    }
  }
  for (const user of new Set(edits.map((edit) => edit.user))) {
    const due = edits.flatMap(({ user: of, met }) =>
      of !== user || met === null || met.after === met.before ? [] : [{ amount: met.after - met.before }],
    );
    const booked = ofUser(user, 'adjustment');
    if (sum(booked) !== sum(due) || booked.length !== due.length) {
      broken.push(
        `user ${user} was edited ${due.length} times by ${sum(due)}, the ledger says ${booked.length} by ${sum(booked)}`,
      );
    }
  }
  const cutOff = edits.filter(({ wasCutOff }) => wasCutOff);
  const made = cutOff.filter(({ met }) => met !== null).length;
  const cut =
    cutOff.length === 0 ? '' : `, ${cutOff.length} of them cut off by a fault: ${made} came to pass all the same`;
  const seen = `${count(grants.length, 'grant')}, ${count(edits.length, 'edit')}${cut}`;
  return finding('Grants and edits by hand are in the ledger, once each', seen, broken);
}

function sum(entries: readonly { readonly amount: number }[]): number {
  return entries.reduce((all, { amount }) => all + amount, 0);
}

function judgeGateways(records: Records): Finding {
  const { startsMs, deaths, badExits } = records;
  const longest = Math.max(0, ...startsMs) / 1000;
  const isAlone = ({ gateway, how, toldAtMs, endedAtMs }: BadExit) =>
    how === 'exit code 1' &&
    records.faultsOf(gateway, toldAtMs, endedAtMs, backWithinMs).some(({ kind }) => databaseFaults.has(kind));
  return finding(
    'Gateways start again, end when told to, and never by themselves',
    `${count(startsMs.length, 'start')}, the longest ${longest.toFixed(1)} s`,
    [
      ...deaths,
      ...badExits
        .filter((exit) => !isAlone(exit))
        .map(({ gateway, how }) => `gateway ${gateway}: ${how} after SIGTERM`),
    ],
    badExits
      .filter(isAlone)
      .map(({ gateway, how }) => `gateway ${gateway}: ${how} after SIGTERM, while its database was away`),
  );
}
