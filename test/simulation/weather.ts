// What goes wrong between a process and the store, drawn for each message: how long it is under way, whether it is carried
// out, and what its sender hears of it.

import type { Random } from '../helpers/random.ts';

/** How much goes wrong in a world. */
export type Temper = 'calm' | 'rough' | 'stormy';

/** The fate of one message. */
export interface Fate {
  readonly name: string;
  /** When it is carried out; null is never. */
  readonly doneAfterMs: number | null;
  /** When its sender hears. */
  readonly heardAfterMs: number;
  /** What the sender hears: what came of it, or that nobody answers. */
  readonly isLost: boolean;
}

const faultsOf: Readonly<Record<Temper, number>> = { calm: 0, rough: 4, stormy: 20 };
/** The driver gives a connection up that says nothing for so long. */
const driverPatienceMs = 2_000;

export class Weather {
  readonly temper: Temper;
  /** Nobody reaches the store, or everybody slowly, until then. */
  downUntilMs = 0;
  slowUntilMs = 0;
  /** A single process does not hear from it until then. */
  readonly cutUntilMs = new Map<number, number>();
  isOver = false;
  /** Single messages do not go astray. */
  isFair = false;
  readonly #random: Random;

  constructor(random: Random, temper: Temper) {
    this.#random = random;
    this.temper = temper;
  }

  /** What asks for no answer at once may take long: in the meantime an instance that seemed dead goes on. */
  fateOf(slot: number, nowMs: number, isPatient: boolean): Fate {
    const random = this.#random;
    if (this.isOver || this.temper === 'calm') return this.#good(2);
    if (nowMs < this.downUntilMs) return random.percent(60) ? this.#refused() : this.#silent();
    if (nowMs < (this.cutUntilMs.get(slot) ?? 0)) return random.percent(80) ? this.#silent() : this.#lostAnswer();
    if (!this.isFair && random.percent(faultsOf[this.temper])) return this.#fault();
    if (isPatient && random.percent(85)) return this.#good(1_900);
    return this.#good(nowMs < this.slowUntilMs ? 1_500 : random.of([1, 3, 20]));
  }

  #fault(): Fate {
    const kind = this.#random.below(5);
    if (kind === 0) return this.#refused();
    if (kind === 1) return this.#silent();
    if (kind === 2) return this.#late();
    if (kind === 3) return this.#good(1_900);
    return this.#lostAnswer();
  }

  #good(slowMs: number): Fate {
    const doneAfterMs = 1 + this.#random.below(slowMs + 1);
    const heardAfterMs = doneAfterMs + 1 + this.#random.below(slowMs + 1);
    return { name: 'good', doneAfterMs, heardAfterMs, isLost: false };
  }

  /** An error before anything is done. */
  #refused(): Fate {
    return { name: 'refused', doneAfterMs: null, heardAfterMs: this.#random.below(20), isLost: true };
  }

  #silent(): Fate {
    return { name: 'silent', doneAfterMs: null, heardAfterMs: driverPatienceMs, isLost: true };
  }

  /** An error after it was done. */
  #lostAnswer(): Fate {
    const doneAfterMs = this.#random.below(30);
    const heardAfterMs = doneAfterMs + this.#random.of([0, 1, 10, 200, driverPatienceMs]);
    return { name: 'lost answer', doneAfterMs, heardAfterMs, isLost: true };
  }

  /** Done when its sender has given it up, and newer ones may have been sent. */
  #late(): Fate {
    const heardAfterMs = this.#random.of([1, 50, driverPatienceMs]);
    return {
      name: 'late',
      doneAfterMs: heardAfterMs + this.#random.of([5, 60, 500, 3_000, 15_000]),
      heardAfterMs,
      isLost: true,
    };
  }
}
