// One gateway process of the simulation: a real meter with a clock of this world, and the callers that it serves. It can
// be stopped and go on, close, and die between any two steps.

import pino from 'pino';
import type { ErrorCode } from '../../src/errors.ts';
import { LastKnown } from '../../src/fallback/last-known.ts';
import type { Hold, Meter, MeterObserver } from '../../src/meter/meter.ts';
import { openMeter } from '../../src/meter/open-meter.ts';
import { type Ending, endings } from '../../src/store/database.ts';
import type { Random } from '../helpers/random.ts';
import type { Complain } from './auditor.ts';
import type { CallAuditor, CallFacts } from './call-auditor.ts';
import type { Death, Disk } from './disk.ts';
import type { Life } from './life.ts';
import type { Model } from './model.ts';
import type { Network } from './network.ts';
import type { WhenDown } from './outage-auditor.ts';
import type { ProcessClock, Timeline } from './timeline.ts';

export interface ProcessOptions {
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

/** Who calls, and what it costs. */
export interface Caller {
  readonly user: string;
  readonly keyId: string | null;
  readonly isLimited: boolean;
  readonly cost: number;
  /** How long the upstream takes. */
  readonly lastsMs: number;
  readonly succeeds: boolean;
  /** The caller leaves after so long, if it still waits for its hold then. */
  readonly patienceMs: number;
}

/** A process without power loses what the disk was not told to write yet: so often it is told. */
const unsafeMs = { kill: 0, power: 105 } as const;

export class Process {
  readonly life: Life;
  readonly clock: ProcessClock;
  readonly served: Record<string, number>;
  /** It takes no more calls, and closes when those that it has are over. */
  isDraining = false;
  /** What happens when it has charged for a call. */
  whenCharged: (() => void) | null = null;
  readonly #world: ProcessOptions;
  /** Its file is kept up to date at all times. */
  readonly #known: LastKnown;
  readonly #open = new Map<string, { hold: Hold; succeeds: boolean }>();
  #meter: Meter | null = null;
  #waiting = 0;
  #isEnding = false;

  /** `before`: the last in its slot, of which it finds what was known of callers. */
  constructor(
    life: Life,
    clock: ProcessClock,
    served: Record<string, number>,
    world: ProcessOptions,
    before: Process | null,
  ) {
    this.life = life;
    this.clock = clock;
    this.served = served;
    this.#world = world;
    this.#known = new LastKnown(clock);
    if (before === null) return;
    life.follow(before.life);
    this.#known.standings.merge(before.#known.standings.entries());
    this.#known.noteInstances(before.#known.instances);
  }

  get isServing(): boolean {
    return this.#meter !== null && this.life.state === 'running' && !this.life.isClosing && !this.isDraining;
  }

  get isAtRest(): boolean {
    return this.#open.size === 0 && this.#waiting === 0;
  }

  get openCalls(): number {
    return this.#open.size;
  }

  /** Starts as often as it takes: whoever watches over it starts it again when the store does not answer. */
  async start(): Promise<void> {
    const { network, disk, model, note, whenDown } = this.#world;
    const observer: MeterObserver = {
      charged: () => {},
      refused: () => {},
      changed: () => {},
      overdrawn: () => {},
      setAside: () => {},
      admittedWhileDown: () => {},
      synced: () => {},
      silent: () => {},
    };
    const { dataDir } = this.life;
    const journal = { dataDir, fsync: 'interval' as const, files: disk.filesOf(this.life, this.clock) };
    const outage = { whenDown, known: this.#known };
    const options = { log: pino({ level: 'silent' }), observer, clock: this.clock, journal, outage };
    for (;;) {
      try {
        disk.begin(this.life);
        model.begin(this.life);
        this.#meter = await openMeter({ ...options, store: network.doorOf(this.life, this.clock) });
        note(`p${this.life.number} is up`);
        return;
      } catch (error) {
        if ((error as { code?: string }).code !== 'ECONNRESET') throw error;
        disk.letGo(this.life);
        await new Promise<void>((resolve) => void this.clock.after(500, resolve));
      }
    }
  }

  call({ user, keyId, isLimited, cost, lastsMs, succeeds, patienceMs }: Caller): void {
    const { calls, network, timeline, complain, note } = this.#world;
    const meter = this.#meter;
    if (meter === null) return;
    const key = isLimited && keyId !== null ? keyId : '';
    const facts: CallFacts = { life: this.life, user, key, keyId, cost, sinceMs: timeline.nowMs };
    const isCovered = calls.isCovered(facts);
    const sentBefore = network.sent;
    let answer: Hold | Promise<Hold> | ErrorCode;
    try {
      answer = meter.hold({ userId: user, keyId, hasKeyLimit: isLimited }, { cost, route: 'r', requestId: 'q' });
    } catch (error) {
      answer = codeOf(error);
    }
    note(
      `p${this.life.number} ${keyId ?? user} calls for ${cost}: ${typeof answer === 'string' ? answer : answer instanceof Promise ? 'waits' : 'held'}`,
    );
    if (network.sent > sentBefore) complain(7, `a call of ${user} asked the store`);
    const isServed = typeof answer === 'object' && !(answer instanceof Promise);
    if (isCovered && !isServed)
      complain(7, `the lease of ${user} ${key} covers ${cost}, and the call was not served at once`);
    if (typeof answer === 'string') this.#refused(facts, answer, true);
    else if (answer instanceof Promise) this.#wait(facts, answer, lastsMs, succeeds, patienceMs);
    else this.#admitted(facts, answer, lastsMs, succeeds);
  }

  #wait(facts: CallFacts, answer: Promise<Hold>, lastsMs: number, succeeds: boolean, patienceMs: number): void {
    const { timeline, note } = this.#world;
    const { waiting } = this.life.part(facts.user, facts.key);
    const inLine = { cost: facts.cost, sinceMs: facts.sinceMs };
    waiting.push(inLine);
    this.#waiting += 1;
    const leave = () => {
      waiting.splice(waiting.indexOf(inLine), 1);
      this.#waiting -= 1;
    };
    answer.then(
      (hold) => {
        leave();
        note(`p${this.life.number} ${facts.user} ${facts.key} is admitted for ${facts.cost}`);
        const hasLeft = timeline.nowMs - facts.sinceMs > patienceMs;
        this.#admitted(facts, hold, hasLeft ? 0 : lastsMs, succeeds && !hasLeft);
        if (hasLeft) this.#leave(hold.chargeId);
      },
      (error) => {
        leave();
        note(`p${this.life.number} ${facts.user} ${facts.key} is refused ${facts.cost}: ${codeOf(error)}`);
        this.#refused(facts, codeOf(error), false);
      },
    );
  }

  #admitted(facts: CallFacts, hold: Hold, lastsMs: number, succeeds: boolean): void {
    const { calls, model, timeline } = this.#world;
    this.#count('served');
    calls.admitted(facts);
    const { life, user, key, keyId, cost } = facts;
    model.hold({ id: hold.chargeId, user, key, keyId, cost, life });
    this.#open.set(hold.chargeId, { hold, succeeds });
    timeline.after(this.#isEnding ? Math.min(lastsMs, 1_000) : lastsMs, () =>
      this.clock.tell(() => this.end(hold.chargeId)),
    );
  }

  #refused(facts: CallFacts, code: ErrorCode, isAtOnce: boolean): void {
    this.#count(code);
    this.#world.calls.refused(facts, code, isAtOnce);
  }

  #count(what: string): void {
    this.served[what] = (this.served[what] ?? 0) + 1;
  }

  /** Its caller had left before it was served. */
  #leave(id: string): void {
    const { model } = this.#world;
    const facts = model.holds.get(id);
    if (facts !== undefined) model.left(facts);
    this.end(id);
  }

  /** The upstream has answered, or failed. */
  end(id: string): void {
    const call = this.#open.get(id);
    const facts = this.#world.model.holds.get(id);
    if (call === undefined || facts === undefined || this.#meter === null) return;
    this.#open.delete(id);
    this.#world.note(
      `p${this.life.number} ${facts.user} ${facts.key} ${call.succeeds ? 'settles' : 'releases'} ${facts.cost}`,
    );
    if (call.succeeds) {
      const ended = endingOf(id);
      this.#world.model.settle(facts, ended);
      this.#meter.settle(call.hold, 200, ended);
      this.whenCharged?.();
    } else {
      this.#world.model.release(facts);
      this.#meter.release(call.hold);
    }
  }

  /** All calls end soon: their upstreams are done, or cut off. */
  endAll(withinMs: number): void {
    const { random, timeline } = this.#world;
    this.#isEnding = true;
    for (const id of this.#open.keys()) {
      timeline.after(random.below(withinMs), () => this.clock.tell(() => this.end(id)));
    }
  }

  /** What the meter says of itself agrees with what was seen, and nobody waits whose time is over. */
  judgeState(): void {
    const { complain, calls } = this.#world;
    if (this.#meter === null || this.life.state === 'dead') return;
    calls.judgeLines(this.life);
    const { holdsOpen, unsentCharges } = this.#meter.state();
    const { owed, inherited } = this.life;
    if (holdsOpen !== this.#open.size) complain(3, `${holdsOpen} holds are open, and ${this.#open.size} calls are`);
    if (unsentCharges < owed || unsentCharges > owed + inherited)
      complain(4, `${unsentCharges} charges are owed, and ${owed} were not acknowledged, ${inherited} inherited`);
  }

  /** Charges that it owes the store, of its own and of others that it looks after, by its own word. */
  get unsentCharges(): number {
    return this.#meter?.state().unsentCharges ?? 0;
  }

  /** Credits that it has leased, by its own word. */
  get leasedCredits(): number {
    return this.#meter?.state().leasedCredits ?? 0;
  }

  stop(): void {
    this.life.stop(this.#world.timeline.nowMs);
    this.clock.isPaused = true;
    this.#world.model.noteAllFree();
  }

  goOn(): void {
    this.life.goOn(this.#world.timeline.nowMs);
    this.#world.model.noteAllFree();
    this.clock.goOn();
  }

  die(death: Death): void {
    this.clock.die();
    this.#open.clear();
    this.#waiting = 0;
    this.#world.model.die(this.life, unsafeMs[death]);
    this.#world.disk.crash(this.life, death);
  }

  /** Ends as a gateway does whose calls have ended. */
  close(): void {
    const { complain, model } = this.#world;
    this.life.isClosing = true;
    void this.#meter?.close().then((lost) => {
      const { owed, inherited } = this.life;
      model.close(this.life, lost);
      if (lost < owed || lost > owed + inherited)
        complain('end', `${lost} charges are left by its word, and ${owed} by what was seen, ${inherited} inherited`);
      if (lost > 0 && model.isCalm) complain('end', `${lost} charges could not be handed in although all was well`);
    });
  }
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof Error && 'code' in error) return error.code as ErrorCode;
  throw error;
}

/** Drawn by the id, which is of this world's chance already. */
function endingOf(id: string): Ending {
  const ending = endings[Number.parseInt(id.slice(-6), 16) % endings.length];
  if (ending === undefined) throw new Error(`${id} is no id`);
  return ending;
}
