// What ends `tollgate start` when a worker ends before any has served.

import type { Told } from './messages.ts';

export class WorkerStartError extends Error {
  override name = 'WorkerStartError';
  /** As the worker tells it, or as it looks from outside. */
  readonly told: Told;

  constructor(told: Told) {
    super(told.message);
    this.told = told;
  }
}
