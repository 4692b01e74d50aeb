// Carries messages between the processes and the store: each is the real code of the store on a real connection, carried
// out at the time that its fate says, one after another or, on PostgreSQL, one inside another.

import type { StoreAsks, StoreDoor } from '../../src/store/sync/door.ts';
import type { LockPolicy, SyncAnswer, SyncMessage } from '../../src/store/sync/exchange.ts';
import { UsersLockedError } from '../../src/store/sync/transaction.ts';
import type { Random } from '../helpers/random.ts';
import type { Auditor, Complain } from './auditor.ts';
import type { Life } from './life.ts';
import type { Model } from './model.ts';
import type { Stores } from './stores.ts';
import { drain, type ProcessClock, type Timeline } from './timeline.ts';
import type { Fate, Weather } from './weather.ts';

/** A message under way. */
interface Letter {
  readonly life: Life;
  /** For whom it speaks: mostly for itself. */
  readonly speaker: Life;
  readonly text: string;
  readonly message: SyncMessage | null;
  readonly locks: LockPolicy;
  readonly fate: Fate;
  readonly carryOut: (message: SyncMessage | null) => Promise<unknown>;
  outcome: { readonly value: unknown } | { readonly error: unknown } | null;
}

/** What a connection that breaks throws. */
class ConnectionLost extends Error {
  readonly code = 'ECONNRESET';
}

/** How long a real exchange waits for a locked user. */
const lockWaitMs = 300;

export interface NetworkOptions {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly weather: Weather;
  readonly stores: Stores;
  readonly model: Model;
  readonly auditor: Auditor;
  readonly complain: Complain;
  readonly note: (text: string) => void;
}

export class Network {
  /** Users whose row is locked by somebody else. */
  readonly lockedUsers = new Set<string>();
  /** How many messages were ever sent. */
  sent = 0;
  /** Somebody is about to fence that instance. */
  whenFencing: (instance: string) => void = () => {};
  readonly seen = {
    exchanges: 0,
    adoptions: 0,
    stale: 0,
    overlaps: 0,
    skipped: 0,
    lost: 0,
    late: 0,
    noes: 0,
    agains: 0,
    fences: 0,
    spared: 0,
  };
  readonly #world: NetworkOptions;
  readonly #underWay = new Set<Letter>();

  constructor(world: NetworkOptions) {
    this.#world = world;
  }

  /** The door of a process, which hears by its clock. */
  doorOf(life: Life, clock: ProcessClock): StoreDoor {
    const real = this.#world.stores.doors[life.slot] as StoreAsks;
    return {
      register: (instance) => {
        life.names.add(instance);
        return this.#send(life, clock, 'register', () => real.register(instance));
      },
      seqOf: (instance) => this.#send(life, clock, 'seqOf', () => real.seqOf(instance)),
      close: async () => {},
      fence: async (instance, seq) => {
        this.whenFencing(instance);
        const isFenced = await this.#send(life, clock, `fence ${instance.slice(-4)}`, () => real.fence(instance, seq));
        this.seen[isFenced ? 'fences' : 'spared'] += 1;
        return isFenced;
      },
      exchange: (message, locks) => this.#exchange(life, clock, real, message, locks),
    };
  }

  async #exchange(
    life: Life,
    clock: ProcessClock,
    real: StoreAsks,
    message: SyncMessage,
    locks: LockPolicy,
  ): Promise<SyncAnswer> {
    const { model, timeline } = this.#world;
    const sentMs = timeline.nowMs;
    // Who looks after what others have left asks for no news.
    const isOwn = message.since !== undefined;
    const speaker = isOwn ? life : model.spokenFor(message);
    if (isOwn) model.sent(life, message);
    else this.seen.adoptions += 1;
    const answer = await this.#send(
      life,
      clock,
      textOf(message, locks),
      (unlocked) => real.exchange(unlocked ?? message, locks),
      message,
      locks,
      speaker,
    );
    if (!answer.stale) life.hearStandings(answer);
    if (!isOwn) return answer;
    if (answer.stale) model.heardStale(life);
    else model.heard(life, message, answer, sentMs);
    return answer;
  }

  #send<T>(
    life: Life,
    clock: ProcessClock,
    text: string,
    carryOut: (message: SyncMessage | null) => Promise<T>,
    message: SyncMessage | null = null,
    locks: LockPolicy = 'wait',
    speaker = life,
  ): Promise<T> {
    const { timeline, weather, model, note } = this.#world;
    this.sent += 1;
    const fate = this.#isLockedOut(message, locks)
      ? lockedOut
      : weather.fateOf(life.slot, timeline.nowMs, text.startsWith('fence'));
    if (fate.name !== 'good' || fate.heardAfterMs > 100) model.troubledMs = timeline.nowMs;
    const letter: Letter = { life, speaker, text, message, locks, fate, carryOut, outcome: null };
    note(`p${life.number} sends ${text} (${fate.name})`);
    if (fate.isLost) this.seen.lost += 1;
    if (fate.doneAfterMs !== null) {
      this.#underWay.add(letter);
      timeline.after(fate.doneAfterMs, () => this.#deliver(letter));
    }
    return new Promise<T>((resolve, reject) => {
      const hear = () => {
        note(`p${life.number} hears of ${text}`);
        if (fate === lockedOut) reject(new UsersLockedError('a row is locked'));
        else if (fate.isLost) reject(new ConnectionLost('the connection was lost'));
        else if (letter.outcome === null) reject(new Error('heard before it was carried out'));
        else if ('error' in letter.outcome) reject(letter.outcome.error);
        else resolve(letter.outcome.value as T);
      };
      timeline.after(fate.heardAfterMs, () => clock.tell(hear));
    });
  }

  /** Mostly the wait for a locked user is not waited out for real; nothing would come of it but the error. */
  #isLockedOut(message: SyncMessage | null, locks: LockPolicy): boolean {
    if (locks === 'skip' || message === null || !this.#touchesLocked(message)) return false;
    return this.#world.stores.dialect === 'sqlite' || this.#world.random.percent(90);
  }

  #touchesLocked({ charges, leases }: SyncMessage): boolean {
    return [...charges, ...leases].some(({ user }) => this.lockedUsers.has(user));
  }

  async #deliver(letter: Letter): Promise<void> {
    if (!this.#underWay.delete(letter)) return;
    const { random, stores } = this.#world;
    const other = [...this.#underWay].find(({ life }) => life.slot !== letter.life.slot);
    const isOverlapping = stores.dialect === 'postgres' && other !== undefined && letter.message !== null;
    if (isOverlapping && this.lockedUsers.size === 0 && random.percent(25)) {
      this.#underWay.delete(other);
      this.seen.overlaps += 1;
      this.#world.note(`p${letter.life.number} and p${other.life.number} meet in the store`);
      const [slot, otherSlot] = [letter.life.slot, other.life.slot];
      await stores.overlap(
        slot,
        () => this.#carryOut(letter, true),
        otherSlot,
        () => this.#carryOut(other, true),
      );
      await this.#look([letter, other], new Map());
    } else {
      await this.#carryOut(letter);
      await this.#look([letter], new Map());
    }
  }

  /** Changes something by hand while a message, if there is one, is being carried out, and looks at what came of it. */
  async edit(text: string, values: unknown[], lowered: ReadonlyMap<string, number>, byItself: () => Promise<unknown>) {
    const { random, stores } = this.#world;
    const letter = [...this.#underWay].find(({ message }) => message !== null);
    if (stores.dialect === 'postgres' && letter !== undefined && this.lockedUsers.size === 0 && random.percent(50)) {
      this.#underWay.delete(letter);
      this.seen.overlaps += 1;
      await stores.editMeanwhile(text, values, letter.life.slot, () => this.#carryOut(letter, true));
      await this.#look([letter], lowered);
    } else {
      await byItself();
      await this.#look([], lowered);
    }
  }

  /** `isMeeting`: another transaction is under way, whose locks it may wait for, on a busy machine for too long. */
  async #carryOut(letter: Letter, isMeeting = false): Promise<void> {
    const { life, text, fate, locks, message } = letter;
    if (fate.name === 'late') this.seen.late += 1;
    try {
      letter.outcome = { value: await letter.carryOut(this.#unlockedPart(message, locks)) };
    } catch (error) {
      letter.outcome = { error };
      const isLock = error instanceof UsersLockedError && (isMeeting || this.lockedUsers.size > 0);
      if (isLock) this.#world.model.troubledMs = this.#world.timeline.nowMs;
      else this.#world.complain('program', `${text} of process ${life.number} failed: ${(error as Error).stack}`);
    }
  }

  /** Where no row can be locked for real, what SKIP LOCKED would pass over is left out. */
  #unlockedPart(message: SyncMessage | null, locks: LockPolicy): SyncMessage | null {
    if (message === null || this.lockedUsers.size === 0 || locks === 'wait') return message;
    this.seen.skipped += 1;
    if (this.#world.stores.dialect === 'postgres') return message;
    const isFree = ({ user }: { user: string }) => !this.lockedUsers.has(user);
    return { ...message, charges: message.charges.filter(isFree), leases: message.leases.filter(isFree) };
  }

  async #look(letters: readonly Letter[], lowered: ReadonlyMap<string, number>): Promise<void> {
    const exchanges = [];
    for (const { life, speaker, message, outcome } of letters) {
      if (message === null || outcome === null || 'error' in outcome) continue;
      const answer = outcome.value as SyncAnswer;
      exchanges.push({ life: speaker, message, answer });
      this.seen.exchanges += 1;
      if (answer.stale) this.seen.stale += 1;
      else for (const lease of answer.leases) this.#count(lease.answer);
      this.#world.note(`p${life.number}: ${answerText(answer)}`);
    }
    await this.#world.auditor.look({ exchanges, lowered });
    await drain();
  }

  #count(answer: 'ok' | 'again' | 'no'): void {
    if (answer === 'no') this.seen.noes += 1;
    if (answer === 'again') this.seen.agains += 1;
  }
}

const lockedOut: Fate = { name: 'locked out', doneAfterMs: null, heardAfterMs: lockWaitMs, isLost: true };

function textOf({ instance, seq, charges, leases }: SyncMessage, locks: LockPolicy): string {
  const asks = leases.map(
    ({ user, key, keep, need, want, emptied }) =>
      `${key || user} keep ${keep} need ${need} want ${want}${emptied ? ' emptied' : ''}`,
  );
  const owed = charges.map(({ user, cost }) => `${user} ${cost}`);
  return `${instance.slice(-4)}#${seq} ${locks} [${asks.join('; ')}] charges [${owed.join(', ')}]`;
}

function answerText(answer: SyncAnswer): string {
  if (answer.stale) return 'stale';
  const leases = answer.leases.map(
    ({ user, key, amount, balance, answer: said }) => `${key || user} ${said} ${amount} of ${balance}`,
  );
  const recalls = answer.recalls.map(({ user, key }) => `${key || user}`);
  return `done ${[...answer.done].join(' ')} [${leases.join('; ')}] recalls [${recalls.join(' ')}]`;
}
