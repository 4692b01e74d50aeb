// What the auditor knows: of each process and its calls what was seen, and what the database says. It shares no arithmetic
// with the meter.

import type { Ending } from '../../src/store/database.ts';
import type { SyncMessage, SyncReply } from '../../src/store/sync/exchange.ts';
import type { Books } from './books.ts';
import { History, type HoldFacts, type Life } from './life.ts';

/** How long trouble is an excuse: until a process that has stopped is fenced, and what came late is over. */
const troubleMs = 20_000;

const nothing: Books = { users: [], keys: [], leases: [], live: [], posted: [], used: 0, astray: 0 };

export class Model {
  readonly users: readonly string[];
  readonly lives: Life[] = [];
  readonly holds = new Map<string, HoldFacts>();
  readonly unposted = new Map<string, HoldFacts>();
  /** What each user should have: what was given by hand, less what is charged. */
  readonly credits = new Map<string, number>();
  readonly postedCount = new Map<string, number>();
  readonly postedSum = new Map<string, number>();
  books: Books = nothing;
  /** When last something was wrong that excuses the slow. */
  troubledMs = Number.NEGATIVE_INFINITY;
  readonly #free = new Map<string, History>();

  readonly #time: { readonly nowMs: number };

  constructor(users: readonly string[], time: { readonly nowMs: number }) {
    this.users = users;
    this.#time = time;
  }

  get nowMs(): number {
    return this.#time.nowMs;
  }

  /** Whether everything has gone well for so long that nothing is excused. */
  get isCalm(): boolean {
    return this.nowMs - this.troubledMs > troubleMs;
  }

  hold(hold: Pick<HoldFacts, 'id' | 'user' | 'key' | 'keyId' | 'cost' | 'life'>): void {
    const never = Number.POSITIVE_INFINITY;
    const begun = { state: 'open', ended: null, isPosted: false, isAtRisk: false } as const;
    this.holds.set(hold.id, { ...hold, ...begun, settledMs: never, heardMs: never });
    hold.life.part(hold.user, hold.key).open += hold.cost;
    this.noteFree(hold.user);
  }

  settle(hold: HoldFacts, ended: Ending): void {
    hold.state = 'settled';
    hold.ended = ended;
    hold.settledMs = this.nowMs;
    const part = hold.life.part(hold.user, hold.key);
    part.open -= hold.cost;
    part.unposted += hold.cost;
    part.unheard += hold.cost;
    hold.life.owed += 1;
    this.unposted.set(hold.id, hold);
  }

  release(hold: HoldFacts): void {
    hold.state = 'released';
    hold.life.part(hold.user, hold.key).open -= hold.cost;
    this.noteFree(hold.user);
  }

  /** A call was served whose caller had left: what it held was in use, if for a moment only. */
  left(hold: HoldFacts): void {
    const part = hold.life.part(hold.user, hold.key);
    const { atMs, credits } = part.returned;
    part.returned = { atMs: this.nowMs, credits: hold.cost + (atMs === this.nowMs ? credits : 0) };
  }

  post(hold: HoldFacts): void {
    hold.isPosted = true;
    hold.life.part(hold.user, hold.key).unposted -= hold.cost;
    this.unposted.delete(hold.id);
    add(this.credits, hold.user, -hold.cost);
    for (const name of [hold.user, hold.keyId]) {
      if (name === null) continue;
      add(this.postedCount, name, 1);
      add(this.postedSum, name, hold.cost);
    }
  }

  /** The process says what it goes on using. */
  sent(life: Life, { instance, leases, charges }: SyncMessage): void {
    life.speakAs(instance);
    for (const { user, key, keep } of leases) {
      const carried = charges
        .map(({ id }) => this.holds.get(id))
        .filter((hold) => hold?.user === user && hold.key === key);
      const part = life.part(user, key);
      // In an outage it may keep more than it has: that is reserved when the answer is here.
      part.amount = Math.min(part.amount, keep + carried.reduce((sum, hold) => sum + (hold?.cost ?? 0), 0));
    }
  }

  /** The process hears an answer. */
  heard(life: Life, { charges, leases }: SyncMessage, reply: SyncReply, sentMs: number): void {
    life.heardMs = this.nowMs;
    life.answeredSentMs = sentMs;
    life.instances = reply.instances.length;
    for (const { id, user } of charges) {
      const hold = this.holds.get(id);
      if (hold === undefined || !reply.done.has(user)) continue;
      hold.heardMs = this.nowMs;
      life.part(user, hold.key).unheard -= hold.cost;
      life.owed -= 1;
    }
    for (const { user, key, amount, answer, short } of reply.leases) {
      const part = life.part(user, key);
      part.amount = amount;
      part.beyond = Math.max(0, part.open + part.unheard - amount);
      const need = leases.find((ask) => ask.user === user && ask.key === key)?.need ?? 0;
      if (answer === 'again') part.againMs = this.nowMs;
      if (answer === 'no') part.no = { need, short: short ?? 'user', heardMs: this.nowMs };
    }
  }

  /** The process hears that it was taken for dead. */
  heardStale(life: Life): void {
    life.heardMs = this.nowMs;
    for (const part of life.parts.values()) part.amount = part.open + part.unheard;
  }

  /** The life that a message speaks for whose sender looks after it: it hands in its charges, or reserves what it owes. */
  spokenFor({ instance, charges }: SyncMessage): Life {
    const [first] = charges;
    const life =
      first === undefined
        ? this.lives.find((other) => other.hasEnded && other.names.has(instance))
        : this.holds.get(first.id)?.life;
    if (life === undefined) throw new Error('who speaks for another does so for one that has ended');
    life.speakAs(instance);
    return life;
  }

  /** All that it held is gone with it; what it settled is on its disk, but for the last `unsafeMs` and this very moment. */
  die(life: Life, unsafeMs: number): void {
    const safeUntilMs = life.doneUntilMs(this.nowMs) - unsafeMs;
    life.state = 'dead';
    for (const hold of this.holds.values()) {
      if (hold.life !== life) continue;
      if (hold.state === 'open') hold.state = 'gone';
      hold.isAtRisk = hold.state === 'settled' && hold.settledMs >= safeUntilMs;
      if (hold.state !== 'settled' || hold.heardMs < safeUntilMs) continue;
      life.left += 1;
      life.part(hold.user, hold.key).left += hold.cost;
    }
    for (const part of life.parts.values()) part.open = 0;
    this.noteAllFree();
  }

  /** It has ended in order; what it still owes stays on its disk. */
  close(life: Life, lost: number): void {
    life.state = 'closed';
    life.lost = lost;
    life.left = life.owed;
    for (const part of life.parts.values()) part.left = part.unheard;
  }

  /** It looks after what those before it have left, if nobody else does. */
  begin(life: Life): void {
    const before = this.lives.filter((other) => other.hasEnded && other.dataDir === life.dataDir);
    life.inherited = before.reduce((sum, { left }) => sum + left, 0);
    life.inherit([...this.unposted.values()].filter((hold) => before.includes(hold.life) && !hold.isAtRisk));
  }

  noteAllFree(): void {
    for (const user of this.users) this.noteFree(user);
  }

  /** Notes what the user, and each limited key, could still spend: no call uses it, and nobody silent has reserved it. */
  noteFree(user: string): void {
    const { users, keys } = this.books;
    for (const life of this.lives) {
      for (const part of life.parts.values())
        if (part.user === user) part.used.note(this.nowMs, part.open + part.unposted);
    }
    this.#note(user, users.find(({ id }) => id === user)?.credits ?? 0, this.#used(user, null));
    for (const { id, limit, spent, user: owner } of keys) {
      if (owner === user) this.#note(id, (limit ?? Number.POSITIVE_INFINITY) - spent, this.#used(user, id));
    }
  }

  #note(name: string, left: number, used: number): void {
    this.#historyOf(`${name} left`).note(this.nowMs, left);
    this.#historyOf(`${name} free`).note(this.nowMs, left - used);
  }

  #used(user: string, key: string | null): number {
    const isOne = (part: { user: string; key: string }) => part.user === user && (key === null || part.key === key);
    let used = 0;
    const rows = new Map<string, number>();
    for (const lease of this.books.leases) if (isOne(lease)) add(rows, lease.instance, lease.amount);
    for (const life of this.lives) {
      let inUse = 0;
      for (const part of life.parts.values())
        if (isOne(part) && life.state !== 'dead') inUse += part.open + part.unposted;
      const reserved = life.state === 'running' ? 0 : (rows.get(life.instance) ?? 0);
      used += Math.max(inUse, reserved);
    }
    return used;
  }

  #historyOf(name: string): History {
    let history = this.#free.get(name);
    if (history === undefined) {
      history = new History();
      this.#free.set(name, history);
    }
    return history;
  }

  /** The most that a user or a limited key could spend at any time since then. */
  mostFreeSince(name: string, sinceMs: number): number {
    return this.#historyOf(`${name} free`).since(sinceMs).most;
  }

  /** What a user or a limited key could have spent all the time since then: credits that no call has used in between. */
  idleSince(name: string, sinceMs: number): number {
    let idle = this.#historyOf(`${name} left`).since(sinceMs).least;
    for (const { parts } of this.lives) {
      for (const part of parts.values()) {
        if (part.user === name || part.key === name) idle -= Math.max(0, part.used.since(sinceMs).most);
      }
    }
    return idle;
  }
}

function add(map: Map<string, number>, name: string, amount: number): void {
  map.set(name, (map.get(name) ?? 0) + amount);
}
