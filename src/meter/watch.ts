// Watches whether the other instances still move. Each counts the seconds by its own clock, and only unbroken watching
// counts: after an outage, in which nobody moved, everybody starts to count anew and nobody is taken for dead.

/** An instance that stands still for so long has stopped. */
const stoppedAfterMs = 8_000;
/** A gap between two replies longer than this breaks the watching. */
const gapMaxMs = 2_000;

export interface Position {
  readonly id: string;
  readonly seq: number;
}

export class Watch {
  #seen = new Map<string, { seq: number; sinceMs: number }>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** Takes in where the instances stand now and returns those that have stopped. */
  stopped(instances: readonly Position[], me: string, nowMs: number): Position[] {
    const isUnbroken = nowMs - this.#lookedAtMs <= gapMaxMs;
    this.#lookedAtMs = nowMs;
    const seen = new Map<string, { seq: number; sinceMs: number }>();
    for (const { id, seq } of instances) {
      const before = isUnbroken ? this.#seen.get(id) : undefined;
      seen.set(id, before?.seq === seq ? before : { seq, sinceMs: nowMs });
    }
    this.#seen = seen;
    return instances.filter(({ id }) => id !== me && nowMs - (seen.get(id)?.sinceMs ?? nowMs) >= stoppedAfterMs);
  }
}
