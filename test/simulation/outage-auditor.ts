// Judges what is sold while a process does not hear from the store: no more than its leases and, once for each outage, a fair
// part of what nobody had reserved; or nothing, as the world has chosen.

import type { Complain } from './auditor.ts';
import type { CallFacts } from './call-auditor.ts';
import type { Life, Part, Standing } from './life.ts';
import type { Model } from './model.ts';

export type WhenDown = 'serve' | 'refuse';

/** A store that is silent for so long may be taken for down, and for so long it has to be. Clocks differ a little. */
const downFromMs = 1_900;
const downForCertainMs = 5_000;
/** So long after it sent the last message that was answered a process that refuses takes holds, and not longer. */
const holdsMs = 6_000;
const tolerance = 1.05;

export class OutageAuditor {
  readonly #model: Model;
  readonly #complain: Complain;
  readonly whenDown: WhenDown;
  /** How many calls were served beyond a lease. */
  allowed = 0;

  constructor(model: Model, complain: Complain, whenDown: WhenDown) {
    this.#model = model;
    this.#complain = complain;
    this.whenDown = whenDown;
  }

  /** Whether the process may take the store for down. */
  mayBeDown(life: Life): boolean {
    return this.#model.nowMs - life.heardMs >= downFromMs;
  }

  /** Whether the process has to serve what its leases cover. */
  hasToHold(life: Life): boolean {
    if (this.whenDown === 'serve') return true;
    return !this.mayBeDown(life) && this.#model.nowMs - life.answeredSentMs < holdsMs / tolerance;
  }

  /** Whether it has to take it for down. */
  #isDown(life: Life): boolean {
    const silentMs = this.#model.nowMs - life.heardMs;
    const awakeMs = this.#model.nowMs - (life.stoppedMs === 0 ? 0 : life.wentOnAtMs);
    return silentMs >= downForCertainMs && awakeMs >= downForCertainMs;
  }

  /** What an outage that has begun may go by: it is set once, and what is heard since for others may differ. */
  #standingsOf(life: Life, user: string): readonly Standing[] {
    return life.standingsSince(user, life.heardMs + downFromMs);
  }

  /** By how much more than its lease may be in use, at least and at most. */
  #allowanceOf(life: Life, user: string, key: string): { least: number; most: number } {
    const standings = this.#standingsOf(life, user);
    if (this.whenDown === 'refuse' || key !== '' || standings.length === 0) return { least: 0, most: 0 };
    const allowances = standings.map(({ credits, leased, owed }) =>
      Math.max(0, Math.floor((credits - leased) / life.instances) - (this.#hasHeard(life) ? 0 : owed)),
    );
    const least = standings.every((standing) => life.isOfToday(standing)) ? Math.min(...allowances) : 0;
    return { least, most: Math.max(...allowances) };
  }

  #hasHeard({ answeredSentMs }: Life): boolean {
    return answeredSentMs > Number.NEGATIVE_INFINITY;
  }

  /** 2 and 3: a hold was taken. */
  admitted({ life, user, key, cost }: CallFacts): void {
    const part = life.part(user, key);
    const beyond = part.open + part.unheard + cost - part.amount;
    const unheardForMs = this.#model.nowMs - life.answeredSentMs;
    if (this.whenDown === 'refuse' && unheardForMs > holdsMs * tolerance)
      this.#complain(
        2,
        `process ${life.number} sold ${cost} of ${user}, and has heard of nothing for ${unheardForMs} ms`,
      );
    if (beyond <= 0) return;
    const allowance = this.mayBeDown(life) ? this.#allowanceOf(life, user, key).most : 0;
    if (beyond > allowance) {
      const terms = `its lease of ${part.amount} and ${allowance} that an outage allows`;
      this.#complain(3, `process ${life.number} sold ${cost} of ${user} ${key} beyond ${terms}`);
    }
    this.allowed += 1;
    part.beyond = Math.max(part.beyond, beyond);
  }

  /** What was in use of a lease when a refusal of this moment was made: those in line are served first, and some have left. */
  #inUse({ open, unheard, returned }: Part): number {
    return open + unheard + (returned.atMs === this.#model.nowMs ? returned.credits : 0);
  }

  /** Somebody was turned away because the store does not answer. */
  turnedAway({ life, user, key, cost }: CallFacts): void {
    if (!this.#isDown(life) || !this.#hasHeard(life) || life.inherited > 0) return;
    const part = life.part(user, key);
    if (part.waiting.length > 0) return;
    const left = part.amount + this.#allowanceOf(life, user, key).least - this.#inUse(part);
    if (this.whenDown === 'serve' && left >= cost)
      this.#complain(6, `process ${life.number} turned ${cost} of ${user} ${key} away, and ${left} were left`);
  }
}
