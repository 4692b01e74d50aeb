// The charging rule against three records of the same call: what its caller got, what the upstream did, what the ledger
// says. What a kill -9 may lose is counted: the calls in flight, and those that ended in the turn of the loop before it.

import type { BookedCharge } from '../../store/proof.ts';
import type { CallRecord, FaultRecord, Records, ServedRecord } from '../stage/records.ts';
import { count, type Finding, finding } from './finding.ts';

/**
 * The longest turn of the event loop that a kill is believed to have met. On two cores with four times the work for them turns
 * of up to 370 ms were measured, from an answer's end to its line in the journal.
 */
const turnMaxMs = 500;
/** So much later than it was may the end of an answer be seen here: ends are in no better order than that. */
const seenLateMs = 50;

/** Charges by the id of their request. */
export type Booked = ReadonlyMap<string, readonly BookedCharge[]>;

type Verdict = 'charged' | 'free' | 'either';

/** For each kill, since when what ended at its gateway may have been in the turn that it met. */
type Turns = ReadonlyMap<FaultRecord, number>;

interface Judged {
  readonly call: CallRecord;
  readonly served: ServedRecord | undefined;
  readonly charges: readonly BookedCharge[];
  /** The kill that it met. */
  readonly kill: FaultRecord | null;
  readonly verdict: Verdict;
}

/** Joins the records and judges every call. */
export function judgeCharges(records: Records, booked: Booked): Finding[] {
  const turns = turnsOf(records, booked);
  const judged = records.calls.map((call) => {
    const served = records.served.get(call.id);
    const kill = killOf(call, served, turns);
    return { call, served, charges: booked.get(call.id) ?? [], kill, verdict: verdictOf(call, served, kill) };
  });
  return [
    judgeDelivered(judged, turns),
    judgeLeft(judged),
    judgeFree(judged, booked),
    judgeTwice(judged),
    judgeSaid(judged),
    judgeBroken(judged, records),
  ];
}

function isSuccess(status: number | null): boolean {
  return status !== null && status >= 200 && status <= 299;
}

function verdictOf(call: CallRecord, served: ServedRecord | undefined, kill: FaultRecord | null): Verdict {
  if (call.code !== null || served === undefined || !isSuccess(served.status)) return 'free';
  if (call.end === 'broken') return served.end === 'died' ? 'free' : 'either';
  // Whether its caller left before the upstream died, or after, cannot be told from here.
  if (served.end === 'died') return call.end === 'whole' ? 'free' : 'either';
  return kill === null ? 'charged' : 'either';
}

/** All of a turn is written at its end: what ended before a call that is charged was in an earlier turn, and has to be there. */
function turnsOf(records: Records, booked: Booked): Turns {
  const kills = records.faults.filter(({ kind }) => kind === 'kill');
  const begins = kills.map((kill): [FaultRecord, number] => {
    let beginMs = kill.startedAtMs - turnMaxMs;
    for (const { id, gateway, end, endedAtMs } of records.calls) {
      const isBefore = kill.gateways.includes(gateway) && end === 'whole' && endedAtMs <= kill.startedAtMs;
      if (isBefore && booked.has(id)) beginMs = Math.max(beginMs, endedAtMs - seenLateMs);
    }
    return [kill, beginMs];
  });
  return new Map(begins);
}

/** The kill that met this call in flight, or in the turn in which it ended; null without one. */
function killOf(call: CallRecord, served: ServedRecord | undefined, turns: Turns): FaultRecord | null {
  const overAtMs = call.end === 'whole' ? call.endedAtMs : Math.max(call.endedAtMs, served?.endedAtMs ?? 0);
  for (const [kill, turnBeganMs] of turns) {
    const isMet = kill.startedAtMs >= call.startedAtMs && overAtMs >= turnBeganMs;
    if (isMet && kill.gateways.includes(call.gateway)) return kill;
  }
  return null;
}

function judgeDelivered(judged: readonly Judged[], turns: Turns): Finding {
  const delivered = judged.filter(
    ({ call, served }) => call.end === 'whole' && call.code === null && isSuccess(served?.status ?? null),
  );
  const broken = delivered.flatMap(({ call, charges, verdict }) => {
    const [charge] = charges;
    if (charge === undefined) return verdict === 'charged' ? [`${nameOf(call)} was delivered and is not charged`] : [];
    return faultsIn(charge, call).map((fault) => `${nameOf(call)} ${fault}`);
  });
  if (delivered.length === 0) broken.push('no call was delivered: nothing was shown');
  const charged = delivered.filter(({ charges }) => charges.length > 0).length;
  return finding(
    'Every call that succeeded and was delivered is charged once, at its cost',
    `${count(delivered.length, 'call')} delivered, ${charged.toLocaleString('en-US')} charged`,
    broken,
    lossesByKill(judged, turns),
  );
}

function faultsIn({ amount, user, key, route, status }: BookedCharge, call: CallRecord): string[] {
  const faults: string[] = [];
  if (amount !== -call.cost) faults.push(`costs ${call.cost} and was charged ${-amount}`);
  if (user !== call.user || key !== call.key) faults.push('was charged to somebody else');
  if (route !== call.route) faults.push(`was charged as ${route}`);
  if (status !== null && !isSuccess(status)) faults.push(`was charged with status ${status}`);
  return faults;
}

/** For each kill what was in flight, and what was delivered right before it and is not charged; all in one line where nothing was lost. */
function lossesByKill(judged: readonly Judged[], turns: Turns): string[] {
  const met = new Map([...turns.keys()].map((kill) => [kill, { inFlight: 0, agesMs: [] as number[] }]));
  for (const { call, served, charges, kill } of judged) {
    const tally = kill === null ? undefined : met.get(kill);
    if (kill === null || tally === undefined) continue;
    if (call.end !== 'whole' || call.endedAtMs > kill.startedAtMs) tally.inFlight += 1;
    const isDelivered = call.end === 'whole' && call.code === null && isSuccess(served?.status ?? null);
    if (isDelivered && charges.length === 0) tally.agesMs.push(Math.max(0, kill.startedAtMs - call.endedAtMs));
  }
  const inFlight = [...met.values()].reduce((sum, tally) => sum + tally.inFlight, 0);
  const losses = [...met].flatMap(([{ gateways }, { inFlight: open, agesMs }]) => {
    if (agesMs.length === 0) return [];
    const age = Math.max(...agesMs).toFixed(1);
    const calls = `${count(agesMs.length, 'call')}, delivered within ${age} ms before`;
    return [
      `a kill -9 of gateway ${gateways.join()} with ${count(open, 'call')} in flight lost the charges of ${calls}`,
    ];
  });
  const lossless = met.size - losses.length;
  return [`${lossless} of ${met.size} kill -9 lost no charge; ${count(inFlight, 'call')} were in flight`, ...losses];
}

function judgeLeft(judged: readonly Judged[]): Finding {
  const left = judged.filter(({ call }) => call.end === 'left');
  const broken = left.flatMap(({ call, charges, verdict, served }) =>
    verdict === 'charged' && charges.length === 0
      ? [`${nameOf(call)} was left by its caller, answered with ${served?.status}, and is not charged`]
      : [],
  );
  const charged = left.filter(({ charges }) => charges.length > 0).length;
  return finding(
    "A call that its caller left is charged by the upstream's status",
    `${count(left.length, 'call')} left, ${charged.toLocaleString('en-US')} charged`,
    broken,
  );
}

function judgeFree(judged: readonly Judged[], booked: Booked): Finding {
  const free = judged.filter(({ verdict }) => verdict === 'free');
  const broken = free.flatMap(({ call, charges, served }) =>
    charges.length === 0
      ? []
      : [`${nameOf(call)} is charged, though its upstream ${served === undefined ? 'never saw it' : told(served)}`],
  );
  const known = new Set(judged.map(({ call }) => call.id));
  for (const [id, charges] of booked) {
    if (!known.has(id)) broken.push(`${count(charges.length, 'charge')} for request ${id}, which nobody made`);
  }
  return finding(
    'Nothing else is charged: no failure, no refusal, no answer that broke off',
    `${count(free.length, 'call')} that cost nothing`,
    broken,
  );
}

function told({ status, end }: ServedRecord): string {
  return `answered ${status ?? 'nothing'}${end === 'died' ? ' and died' : ''}`;
}

function judgeTwice(judged: readonly Judged[]): Finding {
  const broken = judged.flatMap(({ call, charges, served }) => [
    ...(charges.length > 1 ? [`${nameOf(call)} is charged ${charges.length} times`] : []),
    ...((served?.times ?? 0) > 1 ? [`${nameOf(call)} reached the upstream ${served?.times} times`] : []),
  ]);
  const charges = judged.reduce((sum, each) => sum + each.charges.length, 0);
  return finding('No call is charged or forwarded twice', `${count(charges, 'charge')}, each request once`, broken);
}

function judgeSaid(judged: readonly Judged[]): Finding {
  const answered = judged.filter(({ call }) => call.status !== null && call.code === null);
  const broken = answered.flatMap(({ call }) => {
    const due = isSuccess(call.status) ? call.cost : 0;
    return call.costSaid === due
      ? []
      : [`${nameOf(call)} was answered ${call.status} with X-Credits-Cost: ${call.costSaid}`];
  });
  return finding('X-Credits-Cost says what a call takes', count(answered.length, 'answer'), broken);
}

/** A connection that broke has a cause: its upstream died, or its gateway was killed, or was on its way out and took no more. */
function judgeBroken(judged: readonly Judged[], records: Records): Finding {
  const cut = judged.filter(({ call }) => call.end === 'broken' || call.end === 'refused');
  const broken = cut.flatMap(({ call, served, kill }) => {
    if (served?.end === 'died' || kill !== null) return [];
    const faults = records.faultsOf(call.gateway, call.startedAtMs, call.endedAtMs, seenLateMs);
    const isTurnedAway = served === undefined && faults.some(({ kind }) => kind === 'kill' || kind === 'terminate');
    return isTurnedAway ? [] : [`${nameOf(call)} broke off for no reason`];
  });
  return finding(
    'A call in flight ends in order, but for a kill -9 of its gateway or the death of its upstream',
    `${count(cut.length, 'call')} broke off or found no gateway`,
    broken,
  );
}

/** A call as the report names it; the id is found in the logs of the gateways. */
export function nameOf({ id, gateway, route, startedAtMs }: CallRecord): string {
  return `call ${id} (${route} at gateway ${gateway}, ${(startedAtMs / 1000).toFixed(1)} s)`;
}
