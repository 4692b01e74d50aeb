// A door to the store that a test can shut: nobody answers then, as when the database is gone; or that keeps its answers
// back.

import type { StoreDoor } from '../../src/store/sync/door.ts';

export class FrailDoor implements StoreDoor {
  isShut = false;
  /** Answers that are here and are kept back. */
  heldAnswers = 0;
  #isFree: Promise<void> = Promise.resolve();
  readonly #door: StoreDoor;

  constructor(door: StoreDoor) {
    this.#door = door;
  }

  register: StoreDoor['register'] = (...facts) => this.#through(() => this.#door.register(...facts));
  seqOf: StoreDoor['seqOf'] = (...facts) => this.#through(() => this.#door.seqOf(...facts));
  exchange: StoreDoor['exchange'] = (...facts) => this.#through(() => this.#door.exchange(...facts));
  fence: StoreDoor['fence'] = (...facts) => this.#through(() => this.#door.fence(...facts));
  close: StoreDoor['close'] = () => this.#door.close();

  /** Keeps back the answers to what is asked from now on, until the function that it returns is called. */
  holdAnswers(): () => void {
    let letGo = () => {};
    this.#isFree = new Promise((resolve) => {
      letGo = resolve;
    });
    return letGo;
  }

  async #through<T>(pass: () => Promise<T>): Promise<T> {
    if (this.isShut) throw Object.assign(new Error('nobody is there'), { code: 'ECONNREFUSED' });
    const isFree = this.#isFree;
    const answer = await pass();
    this.heldAnswers += 1;
    await isFree;
    this.heldAnswers -= 1;
    return answer;
  }
}
