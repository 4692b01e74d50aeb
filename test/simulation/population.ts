// The processes of a world and the callers that they serve: bursts of calls, processes that start, stop, die, close and
// are replaced.

import type { Random } from '../helpers/random.ts';
import type { Complain } from './auditor.ts';
import type { CallAuditor } from './call-auditor.ts';
import type { Death, Disk } from './disk.ts';
import { type HoldFacts, Life } from './life.ts';
import type { Model } from './model.ts';
import type { Network } from './network.ts';
import type { Key } from './operators.ts';
import type { WhenDown } from './outage-auditor.ts';
import { type Caller, Process } from './process.ts';
import { ProcessClock, type Timeline } from './timeline.ts';

export interface PopulationOptions {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly network: Network;
  readonly disk: Disk;
  readonly model: Model;
  readonly calls: CallAuditor;
  readonly complain: Complain;
  readonly whenDown: WhenDown;
  readonly note: (text: string) => void;
}

const costs = [1, 1, 1, 1, 2, 2, 3, 3, 5, 7, 10, 40];
const durationsMs = [0, 1, 5, 20, 20, 100, 100, 400, 2_000, 10_000, 60_000];
/** How many calls of one process may be open, so that the auditor keeps its pace. */
const openMax = 200;

export class Population {
  readonly counts: Record<string, number> = {};
  readonly #world: PopulationOptions;
  readonly #slots: (Process | null)[];
  #keys: readonly Key[] = [];
  #isSpared = false;

  constructor(slots: number, world: PopulationOptions) {
    this.#slots = Array.from({ length: slots }, () => null);
    this.#world = world;
    world.network.whenFencing = (instance) => this.#stir(instance);
  }

  begin(keys: readonly Key[]): void {
    this.#keys = keys;
    for (const slot of this.#slots.keys()) this.start(slot);
  }

  start(slot: number): void {
    const { timeline, random, model, disk, note } = this.#world;
    const clock = new ProcessClock(timeline, 0.99 + random.below(200) / 10_000);
    const life = new Life(slot, model.lives.length + 1, disk.dataDirOf(slot), timeline, clock);
    model.lives.push(life);
    const process = new Process(life, clock, this.counts, this.#world, this.#slots[slot] ?? null);
    this.#slots[slot] = process;
    note(`p${life.number} starts in slot ${slot}`);
    void process.start();
  }

  /** A process that serves, by chance. */
  any(): Process | null {
    const serving = this.#slots.filter((process) => process?.isServing);
    return serving.length === 0 ? null : this.#world.random.of(serving);
  }

  /** Some calls at once, of one user or of several. */
  burst(): void {
    const { random, model } = this.#world;
    const user = random.of(model.users);
    const number = random.percent(85) ? 1 : 1 + random.below(20);
    for (let call = 0; call < number; call++) {
      const process = this.any();
      if (process === null || process.openCalls > openMax) return;
      process.call(this.#draw(random.percent(80) ? user : random.of(model.users)));
    }
  }

  #draw(user: string): Caller {
    const { random } = this.#world;
    const key = random.percent(50) ? random.of(this.#keys.filter((one) => one.user === user)) : null;
    return {
      user,
      keyId: key?.id ?? null,
      isLimited: key?.isLimited ?? false,
      cost: random.of(costs),
      lastsMs: random.below(1 + random.of(durationsMs)),
      succeeds: random.percent(70),
      patienceMs: random.percent(5) ? random.below(100) : Number.POSITIVE_INFINITY,
    };
  }

  /** A process that starts, serves or closes, by chance. */
  anyAlive(): Process | null {
    const alive = this.#slots.filter((process) => process !== null && !process.life.hasEnded);
    return alive.length === 0 ? null : this.#world.random.of(alive);
  }

  /** It dies between two of its steps, soon or when it has charged for something, and is followed by another. */
  die(process: Process, death: Death): void {
    const { random, timeline, note } = this.#world;
    const { life } = process;
    const stepsLeft = random.of([0, 0, 1, 1, 2, 5, 20]);
    const die = () => {
      note(`p${life.number} dies by ${death}`);
      process.die(death);
      if (!life.isClosing) this.#replace(life.slot, 100 + random.below(15_000));
    };
    const dieSoon = () => {
      if (!this.#isSpared) process.clock.dieAfter(stepsLeft, die);
    };
    if (random.percent(70)) process.whenCharged = dieSoon;
    timeline.after(process.whenCharged === null ? 0 : 1_500, dieSoon);
  }

  /** Stops for a while, as by SIGSTOP, and goes on as if nothing had been. */
  stop(process: Process, forMs: number): void {
    const { timeline, note } = this.#world;
    note(`p${process.life.number} stops for ${forMs} ms`);
    process.stop();
    timeline.after(forMs, () => this.#goOn(process));
  }

  /** Whoever is taken for dead may go on at that very moment, and hand something in before it is fenced. */
  #stir(instance: string): void {
    const { random, timeline } = this.#world;
    const process = this.#slots.find((one) => one?.life.instance === instance);
    if (!process || !random.percent(35)) return;
    timeline.after(random.below(50), () => this.#goOn(process));
  }

  #goOn(process: Process): void {
    if (process.life.state !== 'paused') return;
    this.#world.note(`p${process.life.number} goes on`);
    process.goOn();
  }

  /** A process takes no more calls, closes when its last has ended, and is replaced. */
  closeOne(): void {
    const process = this.any();
    if (process === null) return;
    this.#world.note(`p${process.life.number} takes no more calls`);
    process.isDraining = true;
    process.endAll(50);
  }

  #replace(slot: number, afterMs: number): void {
    this.#world.timeline.after(afterMs, () => this.start(slot));
  }

  /** Nobody is stopped any longer, and nobody dies who has not died yet: there might be nobody left to see to it. */
  goOnAll(): void {
    this.#isSpared = true;
    for (const process of this.#slots) {
      process?.clock.spare();
      if (process?.life.state === 'paused') process.goOn();
    }
  }

  judge(): void {
    for (const process of this.#slots) {
      process?.judgeState();
      if (process?.isDraining && process.isAtRest && process.life.state === 'running') this.#closeAndReplace(process);
    }
  }

  #closeAndReplace(process: Process): void {
    this.#world.note(`p${process.life.number} closes`);
    process.isDraining = false;
    process.close();
    this.#replace(process.life.slot, 15_000);
  }

  endCalls(): void {
    for (const process of this.#slots) process?.endAll(1_000);
  }

  get isAtRest(): boolean {
    return this.#slots.every((process) => process === null || process.life.state === 'dead' || process.isAtRest);
  }

  /** Whether all slots serve, whoever has gone is fenced, and whatever was settled is in the ledger. */
  get isSettled(): boolean {
    const serving = new Set(
      this.#slots.filter((process) => process?.isServing).map((process) => process?.life.instance),
    );
    const isFenced = this.#world.model.books.live.every(({ id }) => serving.has(id));
    const isHandedIn = this.#slots.every((process) => process?.unsentCharges === 0);
    return serving.size === this.#slots.length && isFenced && isHandedIn && this.#lost().length === 0;
  }

  get isClosed(): boolean {
    return this.#slots.every(
      (process) => process === null || process.life.state === 'dead' || process.life.state === 'closed',
    );
  }

  /** Whatever was settled is in the ledger, and those who serve know it, but for what a death may have taken along. */
  judgeCharges(): void {
    for (const process of this.#slots) {
      if (!process?.isServing || process.unsentCharges === 0) continue;
      this.#world.complain('end', `process ${process.life.number} owes ${process.unsentCharges} charges still`);
    }
    for (const { id, user, cost, life, settledMs } of this.#lost()) {
      const by = `process ${life.number} at ${settledMs}`;
      this.#world.complain('end', `the charge ${id} of ${cost} for ${user}, by ${by}, is not in the ledger`);
    }
  }

  #lost(): HoldFacts[] {
    return [...this.#world.model.unposted.values()].filter(({ isAtRisk }) => !isAtRisk);
  }

  close(): void {
    for (const process of this.#slots) if (process?.isServing) process.close();
  }
}
