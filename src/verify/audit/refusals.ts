// Who was refused, and whether it was in order: trouble with the database is told as 503, nothing hangs, and a key is
// refused when it is revoked and not before. Who is told that there are no credits has a judge of its own.

import type { Records } from '../stage/records.ts';
import { nameOf } from './charges.ts';
import { count, type Finding, finding } from './finding.ts';
import { troubleAt } from './trouble.ts';

/** The contract's second, and how much later a busy machine may be. */
const revokedWithinMs = 1_000;
const latenessMs = 500;

/** Judges all that was refused, but for want of credits. */
export function judgeRefusals(records: Records): Finding[] {
  return [judgeTrouble(records), judgeWaiting(records), judgeRevoked(records)];
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
  const revoked = new Set(records.revocations.map(({ key }) => key));
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
    const isKeyRefused = status === 401 || status === 429;
    return isKeyRefused && !revoked.has(call.key) ? [`${nameOf(call)} was answered ${status} with a good key`] : [];
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
  const revokedAtMs = new Map(records.revocations.map(({ key, committedAtMs }) => [key, committedAtMs]));
  let latestMs = 0;
  const broken = records.calls.flatMap((call) => {
    const { key, startedAtMs, status, end, code, gateway } = call;
    const committedAtMs = revokedAtMs.get(key) ?? Number.POSITIVE_INFINITY;
    if (startedAtMs <= committedAtMs || end !== 'whole') return [];
    if (status === 401 || status === 503 || (code !== null && status !== 402)) return [];
    // While its database is away a gateway cannot know.
    if (troubleAt(records, gateway, committedAtMs, startedAtMs) > startedAtMs) return [];
    const lateMs = startedAtMs - committedAtMs;
    latestMs = Math.max(latestMs, lateMs);
    const isLate = lateMs > revokedWithinMs + latenessMs;
    return isLate ? [`${nameOf(call)} was let in ${Math.round(lateMs)} ms after the end of its key`] : [];
  });
  const latest = latestMs === 0 ? 'no call let in after' : `the last call let in ${Math.round(latestMs)} ms after`;
  const seen = `${count(records.revocations.length, 'key')} revoked, ${latest}`;
  return finding('A revoked key is out within a second', seen, broken);
}
