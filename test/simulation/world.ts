// One world: some processes, some users with few credits, callers, operators, hands, and what goes wrong. One seed decides
// everything, so that a world can be repeated exactly.

import { join } from 'node:path';
import { type Random, randomFrom } from '../helpers/random.ts';
import { Auditor, type Violation } from './auditor.ts';
import { CallAuditor } from './call-auditor.ts';
import { Disk } from './disk.ts';
import { Mishaps } from './mishaps.ts';
import { Model } from './model.ts';
import { Network } from './network.ts';
import { Operators } from './operators.ts';
import { OutageAuditor } from './outage-auditor.ts';
import { Population } from './population.ts';
import { type Stores, slotsMax } from './stores.ts';
import { drain, Timeline } from './timeline.ts';
import { type Temper, Weather } from './weather.ts';

export interface WorldReport {
  readonly seed: number;
  readonly temper: Temper;
  readonly violations: readonly Violation[];
  /** The last steps before the end. */
  readonly trace: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/** The steps that are kept for the trace of a violation. */
const traceMax = 200;
/** In which everything that is owed is handed in, and whoever has stopped is fenced, once all is well again. */
const healMs = 40_000;
/** In which a lease that nobody uses is given back. */
const idleMs = 75_000;

export class World {
  readonly #seed: number;
  readonly #random: Random;
  readonly #timeline = new Timeline();
  readonly #weather: Weather;
  readonly #model: Model;
  readonly #auditor: Auditor;
  readonly #outage: OutageAuditor;
  readonly #network: Network;
  readonly #population: Population;
  readonly #operators: Operators;
  readonly #mishaps: Mishaps;
  readonly #disk: Disk;
  readonly #violations: Violation[] = [];
  readonly #trace: string[] = [];
  readonly #isLoud: boolean;
  #steps = 0;
  #isEnding = false;

  constructor(seed: number, stores: Stores, isLoud = false) {
    this.#seed = seed;
    this.#isLoud = isLoud;
    const random = randomFrom(seed);
    for (let draws = 0; draws < 10; draws++) random.below(2);
    this.#random = random;
    const weather = new Weather(random, random.of<Temper>(['calm', 'calm', 'rough', 'rough', 'stormy']));
    const users = Array.from({ length: 1 + random.below(3) }, (_, index) => `u${index + 1}`);
    const complain = (promise: Violation['promise'], message: string) => {
      this.#note(`BROKEN ${promise}: ${message}`);
      this.#violations.push({ promise, message });
    };
    const timeline = this.#timeline;
    const model = new Model(users, timeline);
    const auditor = new Auditor(model, stores.books, complain);
    const outage = new OutageAuditor(model, complain, seed % 4 === 0 ? 'refuse' : 'serve');
    const calls = new CallAuditor(model, complain, outage);
    const note = (text: string) => this.#note(text);
    this.#disk = new Disk(join(stores.folder, 'disks'), random.percent(50), random);
    const disk = this.#disk;
    const parts = { timeline, disk, random, weather, stores, model, auditor, calls, complain, note };
    const { whenDown } = outage;
    const network = new Network(parts);
    const slots = random.of([1, 2, 2, 3, 3, slotsMax]);
    this.#population = new Population(slots, { ...parts, network, whenDown });
    this.#operators = new Operators({ ...parts, network });
    this.#mishaps = new Mishaps({ ...parts, network, population: this.#population });
    [this.#weather, this.#model, this.#auditor, this.#network] = [weather, model, auditor, network];
    this.#outage = outage;
  }

  /** Takes note of an error that nobody expected. */
  fail(error: unknown): void {
    this.#violations.push({ promise: 'program', message: String((error as Error)?.stack ?? error) });
  }

  async run(): Promise<WorldReport> {
    const random = this.#random;
    await this.#operators.begin();
    this.#population.begin(this.#operators.keys);
    this.#again(
      () => this.#population.burst(),
      () => random.of([1, 5, 20, 60, 250]),
    );
    this.#again(
      () => this.#operators.act(),
      () => 100 + random.below(3_000),
    );
    this.#again(
      () => this.#mishaps.happen(),
      () => this.#mishaps.pauseMs(),
    );
    await this.#runFor(15_000 + random.below(30_000));
    await this.#end();
    this.#disk.remove();
    const { commits, excused, fencedAlive } = this.#auditor;
    const virtualMs = Math.round(this.#timeline.nowMs);
    const counts = { steps: this.#steps, virtualMs, commits, excused, fencedAlive, ...this.#network.seen };
    return {
      seed: this.#seed,
      temper: this.#weather.temper,
      violations: this.#violations,
      trace: this.#trace,
      counts: {
        ...counts,
        ...this.#population.counts,
        ...this.#operators.counts,
        ...this.#mishaps.counts,
        ...this.#disk.counts,
        allowed: this.#outage.allowed,
      },
    };
  }

  /** Does it again and again until the world ends. */
  #again(work: () => void | Promise<void>, pauseMs: () => number): void {
    this.#timeline.after(pauseMs(), async () => {
      if (this.#isEnding) return;
      await work();
      this.#again(work, pauseMs);
    });
  }

  async #runFor(forMs: number, isOver: () => boolean = () => false): Promise<void> {
    const untilMs = this.#timeline.nowMs + forMs;
    while (this.#violations.length === 0 && !isOver() && (await this.#timeline.step(untilMs))) {
      this.#steps += 1;
      await drain();
      this.#population.judge();
    }
  }

  /** All is well again: everything ends, and what remains is judged. */
  async #end(): Promise<void> {
    if (this.#violations.length > 0) return;
    this.#isEnding = true;
    await this.#mishaps.heal();
    this.#population.endCalls();
    await this.#runFor(healMs, () => this.#population.isAtRest && this.#population.isSettled);
    if (this.#violations.length > 0) return;
    this.#require(this.#population.isAtRest, 'a call waits for ever');
    this.#population.judgeCharges();
    if (this.#random.percent(10)) {
      await this.#runFor(idleMs);
      const { leases } = this.#model.books;
      this.#require(leases.length === 0, `nobody calls, and ${JSON.stringify(leases)} are leased`);
    }
    this.#population.close();
    await this.#runFor(healMs, () => this.#population.isClosed);
    if (this.#violations.length > 0) return;
    this.#population.judgeCharges();
    await this.#auditor.look({ exchanges: [], lowered: new Map() });
    this.#require(this.#population.isClosed, 'a process does not end');
    const { live, leases } = this.#model.books;
    const left = this.#model.lives.filter(
      ({ state, lost, instance }) => state === 'closed' && lost === 0 && live.some(({ id }) => id === instance),
    );
    this.#require(
      left.length === 0 && leases.length === 0,
      `${left.length} instances are left, and ${leases.length} leases`,
    );
  }

  #require(isKept: boolean, message: string): void {
    if (!isKept && this.#violations.length === 0) this.#violations.push({ promise: 'end', message });
  }

  #note(text: string): void {
    const line = `${this.#timeline.nowMs.toFixed(1)} ${text}`;
    if (this.#isLoud) console.log(line);
    this.#trace.push(line);
    if (this.#trace.length > 2 * traceMax) this.#trace.splice(0, traceMax);
  }
}
