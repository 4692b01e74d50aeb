// Who was refused, and whether it was right. A 402 is judged by the most that the user's calls could have taken until
// then: if that leaves the cost, it was wrong. Trouble with the database is told as 503, and nothing hangs.

import type { Player } from '../stage/cast.ts';
import type { CallRecord, Records, ServedRecord } from '../stage/records.ts';
import { nameOf } from './charges.ts';
import { count, type Finding, finding } from './finding.ts';

/** A no is remembered for half a second, and a grant heard of within one. */
const heardWithinMs = 1_500;
/** After trouble, gateways need a while to talk to the database again and give back what failed calls held. */
const settlesWithinMs = 3_000;
/** The contract's second, and how much later a busy machine may be. */
const revokedWithinMs = 1_000;
const latenessMs = 500;

export function judgeRefusals(records: Records, cast: readonly Player[]): Finding[] {
  return [judge402(records, cast), judgeTrouble(records), judgeWaiting(records), judgeRevoked(records)];
}

function judge402(records: Records, cast: readonly Player[]): Finding {
  const refused = records.calls.filter(({ status, code }) => status === 402 && code !== null);
  const broken: string[] = [];
  let unclear = 0;
  for (const { user, credits, limit, key } of accountsOf(records, cast)) {
    const isMine = (call: CallRecord) => call.user === user && (key === null || call.key === key);
    const calls = records.calls.filter(isMine).map((call) => ({ call, freeAtMs: freeAtOf(call, records) }));
    const code = limit === null ? 'TG_CREDITS_INSUFFICIENT' : 'TG_KEY_LIMIT_REACHED';
    for (const call of refused.filter((each) => isMine(each) && each.code === code)) {
      const came = limit === null ? cameBy(records, user, call) : 0;
      if (came === null) unclear += 1;
      const taken = calls.reduce((sum, { call: other, freeAtMs }) => {
        return sum + (other.startedAtMs < call.endedAtMs && freeAtMs > call.startedAtMs ? other.cost : 0);
      }, 0);
      const left = (limit ?? credits) + (came ?? 0) - taken;
      if (came !== null && left >= call.cost) {
        broken.push(`${nameOf(call)} was refused for want of ${call.cost} credits, though at least ${left} were free`);
      }
    }
  }
  const seen = `${count(refused.length, 'answer')} 402${unclear === 0 ? '' : `, ${unclear} after an edit of unknown end not judged`}`;
  return finding('Nobody gets a 402 while there are credits', seen, broken);
}

/** The users, and the keys with a limit. */
function accountsOf(records: Records, cast: readonly Player[]) {
  const users = cast.map(({ user, credits }) => ({ user, credits, limit: null, key: null }));
  const limited = cast.flatMap(({ user, credits, key: { id, limit } }) =>
    limit === null ? [] : [{ user, credits, limit, key: id }],
  );
  const isRefused = new Set(records.calls.filter(({ status }) => status === 402).map(({ user }) => user));
  return [...users, ...limited].filter(({ user }) => isRefused.has(user));
}

/** When a call holds and costs nothing any more, for certain; never for one that was charged, or may have been. */
function freeAtOf(call: CallRecord, records: Records): number {
  const isRefused = call.code !== null && !records.served.has(call.id);
  if (isRefused) return Number.NEGATIVE_INFINITY;
  const served = records.served.get(call.id);
  if (!isFailed(call, served)) return Number.POSITIVE_INFINITY;
  const overAtMs = Math.max(call.endedAtMs, served?.endedAtMs ?? 0);
  let freeAtMs = overAtMs + settlesWithinMs;
  for (;;) {
    const over = troubleAt(records, call.gateway, overAtMs, freeAtMs);
    if (over <= freeAtMs) return freeAtMs;
    freeAtMs = over;
  }
}

/** Whether a call that ended so can not have been charged. */
function isFailed({ end, code, status }: CallRecord, served: ServedRecord | undefined): boolean {
  if (end === 'whole') return code !== null || (status ?? 0) >= 300;
  if (end === 'broken') return served?.end === 'died';
  return end === 'left' && served?.end !== 'open' && (served?.status ?? 500) >= 300;
}

/** When the last trouble that a gateway had in this time was over and settled. A lock on a row delays everybody a little. */
function troubleAt(records: Records, gateway: string, fromMs: number, toMs: number): number {
  const locks = records.faults.filter(
    ({ kind, startedAtMs, endedAtMs }) =>
      kind === 'lock' && startedAtMs <= toMs && endedAtMs + settlesWithinMs >= fromMs,
  );
  const faults = [...locks, ...records.faultsOf(gateway, fromMs, toMs, settlesWithinMs)];
  return faults.reduce((latest, { endedAtMs }) => Math.max(latest, endedAtMs + settlesWithinMs), toMs);
}

/** Credits that have come to a user, for certain, before this call; null where an edit may or may not have been. */
function cameBy({ grants, edits }: Records, user: string, call: CallRecord): number | null {
  const heardMs = call.startedAtMs - heardWithinMs;
  let came = 0;
  for (const grant of grants) {
    if (grant.user === user && (grant.committedAtMs ?? Number.POSITIVE_INFINITY) < heardMs) came += grant.amount;
  }
  for (const { user: edited, startedAtMs, committedAtMs, met } of edits) {
    if (edited !== user || startedAtMs > call.endedAtMs) continue;
    if (met === null || committedAtMs === null) return null;
    const difference = met.after - met.before;
    if (difference < 0 || committedAtMs < heardMs) came += difference;
  }
  return came;
}

/** What a gateway itself may answer. */
const allowed = new Map([
  [401, 'TG_AUTH_INVALID'],
  [402, null],
  [429, 'TG_RATE_LIMITED'],
  [502, 'TG_UPSTREAM_UNREACHABLE'],
  [503, null],
]);

function judgeTrouble(records: Records): Finding {
  const own = records.calls.filter(({ code }) => code !== null);
  const broken = own.flatMap((call) => {
    const { status, code, hasRetryAfter } = call;
    const served = records.served.get(call.id);
    const expected = allowed.get(status ?? 0);
    if (expected === undefined || (expected !== null && expected !== code)) {
      return [`${nameOf(call)} was answered ${status} ${code}`];
    }
    if ((status === 503 || status === 429) && !hasRetryAfter)
      return [`${nameOf(call)} was answered ${status} ${code} without Retry-After`];
    if (status === 502 && served?.end !== 'died') return [`${nameOf(call)} was answered 502 by a sound upstream`];
    if (status !== 502 && served !== undefined) return [`${nameOf(call)} was refused (${code}), and forwarded`];
    // All callers have one address: a key that is not good is told 429 where more than a hundred failed within a minute.
    const isRevoked = records.revocations.some(({ key }) => key === call.key);
    const isKeyRefused = status === 401 || status === 429;
    return isKeyRefused && !isRevoked ? [`${nameOf(call)} was answered ${status} with a good key`] : [];
  });
  const byCode = new Map<string, number>();
  for (const { code } of own) byCode.set(code ?? '', (byCode.get(code ?? '') ?? 0) + 1);
  const seen = [...byCode].map(([code, number]) => `${number.toLocaleString('en-US')} ${code}`).join(', ');
  return finding(
    'What the gateway refuses it refuses in order: 503 with Retry-After, never 500',
    seen || 'none',
    broken,
  );
}

function judgeWaiting({ calls }: Records): Finding {
  const longest = calls.reduce((ms, { startedAtMs, endedAtMs }) => Math.max(ms, endedAtMs - startedAtMs), 0);
  const broken = calls.filter(({ end }) => end === 'hung' || end === 'open').map((call) => `${nameOf(call)} hung`);
  return finding('Nothing hangs', `the longest call took ${(longest / 1000).toFixed(1)} s`, broken);
}

function judgeRevoked(records: Records): Finding {
  let latestMs = 0;
  const broken = records.revocations.flatMap(({ key, committedAtMs }) =>
    records.calls.flatMap((call) => {
      const { startedAtMs, status, end, code, gateway } = call;
      if (call.key !== key || startedAtMs <= committedAtMs || end !== 'whole') return [];
      if (status === 401 || status === 503 || (code !== null && status !== 402)) return [];
      // While its database is away a gateway cannot know.
      if (troubleAt(records, gateway, committedAtMs, startedAtMs) > startedAtMs) return [];
      latestMs = Math.max(latestMs, startedAtMs - committedAtMs);
      const isLate = startedAtMs - committedAtMs > revokedWithinMs + latenessMs;
      return isLate
        ? [`${nameOf(call)} was let in ${Math.round(startedAtMs - committedAtMs)} ms after the end of its key`]
        : [];
    }),
  );
  const latest = latestMs === 0 ? 'no call let in after' : `the last call let in ${Math.round(latestMs)} ms after`;
  const seen = `${count(records.revocations.length, 'key')} revoked, ${latest}`;
  return finding('A revoked key is out within a second', seen, broken);
}
