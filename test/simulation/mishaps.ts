// What goes wrong in a world besides single messages: spells without a store, rows that somebody locks, processes that
// die, stop or close, clocks that jump.

import type { Random } from '../helpers/random.ts';
import type { Auditor } from './auditor.ts';
import type { Disk } from './disk.ts';
import type { Model } from './model.ts';
import type { Network } from './network.ts';
import type { Population } from './population.ts';
import type { Stores } from './stores.ts';
import type { Timeline } from './timeline.ts';
import type { Weather } from './weather.ts';

export interface MishapOptions {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly weather: Weather;
  readonly stores: Stores;
  readonly model: Model;
  readonly auditor: Auditor;
  readonly network: Network;
  readonly population: Population;
  readonly disk: Disk;
  readonly note: (text: string) => void;
}

/** How far the time of day jumps: seconds, hours, years. */
const jumpsMs = [-2_000, 5_000, 3_600_000, -3_600_000, 365 * 86_400_000, -86_400_000];

type Kind = 'jump' | 'close' | 'death' | 'stop' | 'spell' | 'cut' | 'lock';
const harmless: readonly Kind[] = ['jump', 'close', 'jump'];
/** One at a time: whoever is fenced alive must have been watched without a break. */
const lonely: readonly Kind[] = ['stop', 'stop', 'stop', 'cut', 'jump'];
/** What a world suffers from: of everything a little, or of one thing a lot. */
const plagues: readonly (readonly Kind[])[] = [
  ['jump', 'close', 'death', 'death', 'stop', 'spell', 'cut', 'lock'],
  lonely,
  lonely,
  lonely,
  ['stop', 'stop', 'cut', 'jump'],
  ['stop', 'cut', 'cut', 'close'],
  ['death', 'death', 'stop', 'close'],
  ['death', 'death', 'death', 'spell'],
  ['lock', 'lock', 'spell', 'close'],
];

export class Mishaps {
  readonly counts = { deaths: 0, stops: 0, closes: 0, jumps: 0, spells: 0, cuts: 0, locks: 0 };
  readonly #world: MishapOptions;
  readonly #kinds: readonly Kind[];
  #unlock: (() => Promise<void>) | null = null;

  constructor(world: MishapOptions) {
    this.#world = world;
    this.#kinds = world.random.of(plagues);
    world.weather.isFair = this.#kinds === lonely;
  }

  /** How long until the next. */
  pauseMs(): number {
    const { random, weather } = this.#world;
    if (this.#kinds === lonely) return 1_000 + random.below(11_000);
    return 200 + random.below(weather.temper === 'stormy' ? 3_000 : 6_000);
  }

  async happen(): Promise<void> {
    const { random, weather } = this.#world;
    const kinds = weather.temper === 'calm' ? harmless : this.#kinds;
    const kind = random.of(kinds);
    if (kind === 'jump') this.#jump();
    else if (kind === 'close') this.#close();
    else if (kind === 'death') this.#die();
    else if (kind === 'stop') this.#stop();
    else if (kind === 'spell') this.#spell();
    else if (kind === 'cut') this.#cut();
    else await this.#lock();
  }

  #close(): void {
    this.counts.closes += 1;
    this.#world.population.closeOne();
  }

  #jump(): void {
    const process = this.#world.population.any();
    if (process === null) return;
    this.counts.jumps += 1;
    process.clock.wrongByMs += this.#world.random.of(jumpsMs);
  }

  #die(): void {
    const { population, disk, random } = this.#world;
    const process = random.percent(80) ? population.any() : population.anyAlive();
    if (process === null) return;
    this.counts.deaths += 1;
    this.#trouble(0);
    // Where several share a disk, they would all lose their power at once.
    population.die(process, !disk.isShared && random.percent(30) ? 'power' : 'kill');
  }

  #stop(): void {
    const { population, random } = this.#world;
    const process = population.any();
    if (process === null) return;
    this.counts.stops += 1;
    const aboutFenced = 8_000 + random.below(2_000);
    const isLonely = this.#kinds === lonely;
    const forMs = isLonely
      ? random.of([aboutFenced, 12_000, 12_000])
      : random.of([30, 500, 3_000, aboutFenced, aboutFenced, 20_000]);
    this.#trouble(forMs);
    population.stop(process, forMs);
  }

  /** Nobody reaches the store for a while, or everybody slowly. */
  #spell(): void {
    const { random, timeline, weather, note } = this.#world;
    const untilMs = timeline.nowMs + random.of([200, 1_000, 4_000, 12_000]);
    this.counts.spells += 1;
    if (random.percent(60)) weather.downUntilMs = untilMs;
    else weather.slowUntilMs = untilMs;
    note(`a spell until ${untilMs}`);
  }

  #cut(): void {
    const { random, timeline, weather, population, note } = this.#world;
    const process = population.any();
    if (process === null) return;
    this.counts.cuts += 1;
    note(`p${process.life.number} is cut off`);
    weather.cutUntilMs.set(process.life.slot, timeline.nowMs + random.of([1_000, 5_000, 10_500, 15_000]));
  }

  async #lock(): Promise<void> {
    const { random, model, network, stores, timeline, note } = this.#world;
    if (this.#unlock !== null) return;
    const user = random.of(model.users);
    const forMs = random.of([10, 200, 1_000, 5_000]);
    this.counts.locks += 1;
    this.#trouble(forMs);
    note(`${user} is locked for ${forMs} ms`);
    const unlock = stores.dialect === 'postgres' ? await stores.lockUser(user) : async () => {};
    network.lockedUsers.add(user);
    this.#unlock = async () => {
      network.lockedUsers.delete(user);
      await unlock();
    };
    timeline.after(forMs, () => this.#release());
  }

  async #release(): Promise<void> {
    const unlock = this.#unlock;
    this.#unlock = null;
    await unlock?.();
  }

  /** Whoever is slow now has an excuse. */
  #trouble(forMs: number): void {
    const { model, timeline } = this.#world;
    model.troubledMs = Math.max(model.troubledMs, timeline.nowMs + forMs);
  }

  /** From now on all is well. */
  async heal(): Promise<void> {
    this.#world.weather.isOver = true;
    this.#world.population.goOnAll();
    await this.#release();
  }
}
