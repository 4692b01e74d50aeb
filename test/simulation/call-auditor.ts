// Judges what callers are told: who is served, who is refused with what reason, and how long they wait.

import type { ErrorCode } from '../../src/errors.ts';
import type { Complain } from './auditor.ts';
import type { Life, Part } from './life.ts';
import type { Model } from './model.ts';
import type { OutageAuditor } from './outage-auditor.ts';

export interface CallFacts {
  readonly life: Life;
  readonly user: string;
  /** '' or the limited key. */
  readonly key: string;
  readonly keyId: string | null;
  readonly cost: number;
  readonly sinceMs: number;
}

/** For how long a no may be remembered, and how long news of a release may take. */
const rememberedMs = 500;
const newsMs = 250;
/** The longest wait, and the longest for credits that others have reserved. */
const waitMaxMs = 12_000;
const reservedWaitMs = 1_000;
/** Clocks differ, and what is slow may stretch a wait by the time it takes. */
const tolerance = 1.05;
const slowMs = 6_000;

export class CallAuditor {
  readonly #model: Model;
  readonly #complain: Complain;
  readonly #outage: OutageAuditor;

  constructor(model: Model, complain: Complain, outage: OutageAuditor) {
    this.#model = model;
    this.#complain = complain;
    this.#outage = outage;
  }

  /** 7: whether the lease, by what was said and heard, covers the call, so that it has to be answered at once. */
  isCovered({ life, user, key, cost }: CallFacts): boolean {
    const part = life.part(user, key);
    if (!this.#outage.hasToHold(life)) return false;
    return part.waiting.length === 0 && part.open + part.unheard + cost <= part.amount;
  }

  admitted(call: CallFacts): void {
    this.#outage.admitted(call);
    this.#judgeWait(call);
  }

  refused(call: CallFacts, code: ErrorCode, isAtOnce: boolean): void {
    if (code === 'TG_CREDITS_INSUFFICIENT') this.#judgeNo(call, 'user', isAtOnce);
    else if (code === 'TG_KEY_LIMIT_REACHED') this.#judgeNo(call, 'key', isAtOnce);
    else if (code === 'TG_CREDITS_RESERVED') this.#judgeReserved(call);
    else if (code === 'TG_SHUTTING_DOWN' && call.life.isClosing) return;
    else if (code !== 'TG_STORE_UNAVAILABLE' || this.#model.isCalm)
      this.#complain('program', `a call was refused with ${code}`);
    else this.#outage.turnedAway(call);
    this.#judgeWait(call);
  }

  /** 6: a no comes from the store, is remembered for half a second, and is true. */
  #judgeNo({ life, user, key, cost }: CallFacts, short: 'user' | 'key', isAtOnce: boolean): void {
    const { nowMs } = this.#model;
    const part: Part = life.part(user, key);
    const { no } = part;
    const ageMs = isAtOnce ? rememberedMs * tolerance : 0;
    if (no === null || no.short !== short || no.need > cost || nowMs - no.heardMs > ageMs) {
      this.#complain(6, `process ${life.number} refused ${cost} of ${user} ${key} without a no of the store`);
    }
    // What calls in flight give back counts when their process has told the store, which trouble may keep it from.
    if (!this.#model.isCalm) return;
    const patienceMs = ageMs + newsMs;
    const name = short === 'user' ? user : key;
    const idle = this.#model.idleSince(name, nowMs - patienceMs);
    if (idle < cost) return;
    this.#complain(6, `process ${life.number} refused ${cost} of ${name}, and ${idle} were idle for ${patienceMs} ms`);
  }

  /** 6: once others were asked to give back, nobody waits longer than a second for it. */
  judgeLines({ number, parts }: Life): void {
    for (const { user, key, waiting, againMs } of parts.values()) {
      const waited = againMs - Math.min(againMs, ...waiting.map(({ sinceMs }) => sinceMs));
      if (waited <= reservedWaitMs * tolerance) continue;
      this.#complain(6, `process ${number} lets a call of ${user} ${key} wait for ${waited} ms for credits of others`);
    }
  }

  #judgeReserved({ life, user, cost, sinceMs }: CallFacts): void {
    const waitedMs = this.#model.nowMs - sinceMs;
    if (waitedMs < reservedWaitMs / tolerance) this.#complain(6, `a call was told to come again after ${waitedMs} ms`);
    if (!this.#model.isCalm) return;
    const secondAgoMs = this.#model.nowMs - reservedWaitMs;
    const [least, most] = [this.#model.idleSince(user, secondAgoMs), this.#model.mostFreeSince(user, secondAgoMs)];
    const name = `process ${life.number} told a call of ${user} for ${cost} to come again`;
    if (least >= cost) this.#complain(6, `${name}, and at least ${least} could be spent for a second`);
    if (most < cost) this.#complain(6, `${name}, and at most ${most} could be spent for a second`);
  }

  #judgeWait({ life, sinceMs, user }: CallFacts): void {
    const waitedMs = this.#model.nowMs - sinceMs;
    const maxMs = this.#model.isCalm
      ? reservedWaitMs * tolerance + newsMs
      : waitMaxMs * tolerance + slowMs + life.stoppedMs;
    if (waitedMs > maxMs) this.#complain(6, `a call of ${user} waited for ${waitedMs} ms in process ${life.number}`);
  }
}
