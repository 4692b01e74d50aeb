// Who was told that there are no credits, and whether it was right. A 402 is judged by the least that can have been there:
// what comes counts from when it is certain and heard of, what goes from when it can have gone. If that leaves the cost, it
// was wrong. What came to pass, and what was charged, is known by now, also where the run itself could not know it.

import type { Player } from '../stage/cast.ts';
import type { CallRecord, Records } from '../stage/records.ts';
import { type Booked, nameOf } from './charges.ts';
import { count, type Finding, finding } from './finding.ts';
import { settlesWithinMs, troubleAt } from './trouble.ts';

/** A no is remembered for half a second, and what comes is heard of within one. */
const heardWithinMs = 1_500;

/** Judges every answer 402, by the users' credits and by the limits of keys. */
export function judgeNoCredits(records: Records, booked: Booked, cast: readonly Player[]): Finding {
  const refused = records.calls.filter(({ status, code }) => status === 402 && code !== null);
  const broken: string[] = [];
  const judged = new Set<CallRecord>();
  const missing: number[] = [];
  for (const account of accountsOf(cast)) {
    const mine = refused.filter((call) => call.code === account.code && account.has(call));
    if (mine.length === 0) continue;
    const leastFor = leastOf(account, records, booked);
    for (const call of mine) {
      judged.add(call);
      const left = leastFor(call);
      missing.push(call.cost - left);
      if (left < call.cost) continue;
      broken.push(`${nameOf(call)} was refused for want of ${call.cost} credits, though at least ${left} were free`);
    }
  }
  for (const call of refused) {
    if (!judged.has(call))
      broken.push(`${nameOf(call)} was refused with ${call.code}, for a limit that nobody has set`);
  }
  return finding('Nobody gets a 402 while there are credits', told(refused.length, judged.size, missing), broken);
}

/** How sharp it was, too: the judge is no better than the number of credits that could have been there unseen. */
function told(refused: number, judged: number, missing: readonly number[]): string {
  const answers = `${judged.toLocaleString('en-US')} of ${count(refused, 'answer')} 402 judged`;
  const half = missing.toSorted((a, b) => a - b)[Math.floor(missing.length / 2)];
  return half === undefined
    ? answers
    : `${answers}; with ${count(half, 'credit')} more half of them would be found wrong`;
}

/** The credits of a user, or what the limit of a key leaves. */
interface Account {
  readonly start: number;
  /** How it is told that there are none. */
  readonly code: string;
  has(call: CallRecord): boolean;
  /** Whose grants and edits count; null for a key. */
  readonly user: string | null;
}

function accountsOf(cast: readonly Player[]): Account[] {
  const users = cast.map(({ user, credits }) => {
    return { start: credits, code: 'TG_CREDITS_INSUFFICIENT', has: (call: CallRecord) => call.user === user, user };
  });
  const limited = cast.flatMap(({ key: { id, limit } }) =>
    limit === null
      ? []
      : [{ start: limit, code: 'TG_KEY_LIMIT_REACHED', has: (call: CallRecord) => call.key === id, user: null }],
  );
  return [...users, ...limited];
}

/** Credits that come or go at a time. */
interface Move {
  readonly atMs: number;
  readonly amount: number;
}

/** Gives the least that can have been there for a call, at some time between its start and its end. */
function leastOf(account: Account, records: Records, booked: Booked): (call: CallRecord) => number {
  const comes: Move[] = [];
  const goes: Move[] = [];
  for (const call of records.calls) {
    if (!account.has(call) || isTurnedAway(call, records)) continue;
    goes.push({ atMs: call.startedAtMs, amount: call.cost });
    if (!booked.has(call.id)) comes.push({ atMs: freeAtOf(call, records), amount: call.cost });
  }
  for (const { user, amount, committedAtMs } of records.grants) {
    if (user === account.user && committedAtMs !== null) comes.push({ atMs: committedAtMs + heardWithinMs, amount });
  }
  for (const { user, startedAtMs, knownAtMs, met } of records.edits) {
    if (user !== account.user || met === null) continue;
    const amount = met.after - met.before;
    if (amount > 0) comes.push({ atMs: knownAtMs + heardWithinMs, amount });
    else goes.push({ atMs: startedAtMs, amount: -amount });
  }
  const come = sumsOf(comes);
  const gone = sumsOf(goes);
  return ({ startedAtMs, endedAtMs }) => account.start + come(startedAtMs) - gone(endedAtMs);
}

/** The sum of all moves before a time. Sorted and summed once, because thousands of calls ask. */
function sumsOf(moves: readonly Move[]): (ms: number) => number {
  const sorted = moves.toSorted((a, b) => a.atMs - b.atMs);
  let total = 0;
  const sums = sorted.map(({ amount }) => {
    total += amount;
    return total;
  });
  return (ms) => {
    let before = 0;
    for (let end = sorted.length; before < end; ) {
      const middle = (before + end) >>> 1;
      if ((sorted[middle]?.atMs ?? 0) < ms) before = middle + 1;
      else end = middle;
    }
    return sums[before - 1] ?? 0;
  };
}

/** Whether it never held anything: the gateway refused it, or was not there. */
function isTurnedAway({ id, code, end }: CallRecord, { served }: Records): boolean {
  return (code !== null || end === 'refused') && !served.has(id);
}

/** When a call that was not charged holds nothing any more, for certain: its gateway may have had trouble to tell so. */
function freeAtOf({ id, gateway, endedAtMs }: CallRecord, records: Records): number {
  const served = records.served.get(id);
  if (served?.end === 'open') return Number.POSITIVE_INFINITY;
  const overAtMs = Math.max(endedAtMs, served?.endedAtMs ?? 0);
  let freeAtMs = overAtMs + settlesWithinMs;
  for (;;) {
    const settledAtMs = troubleAt(records, gateway, overAtMs, freeAtMs);
    if (settledAtMs <= freeAtMs) return freeAtMs;
    freeAtMs = settledAtMs;
  }
}
