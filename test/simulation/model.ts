// What the auditor knows: every hold as it was seen to be taken and to end, what each process was seen to be granted, and
// what the database says. It shares no arithmetic with the meter.

import type { SyncMessage, SyncReply } from '../../src/store/sync/exchange.ts';
import type { Books } from './books.ts';

/** How a number was in the last while. */
class History {
  readonly #marks: { atMs: number; value: number }[] = [];

  note(atMs: number, value: number): void {
    const last = this.#marks.at(-1);
    if (last?.value === value) return;
    this.#marks.push({ atMs, value });
    if (this.#marks.length > 4_000) this.#marks.splice(0, 2_000);
  }

  /** The least and the most that it was at `sinceMs` and after it. */
  since(sinceMs: number): { least: number; most: number } {
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let index = this.#marks.length - 1; index >= 0; index--) {
      const { atMs, value } = this.#marks[index] as { atMs: number; value: number };
      least = Math.min(least, value);
      most = Math.max(most, value);
      if (atMs < sinceMs) break;
    }
    return { least, most };
  }
}

export interface HoldFacts {
  readonly id: string;
  readonly user: string;
  /** '' or the limited key. */
  readonly key: string;
  readonly keyId: string | null;
  readonly cost: number;
  readonly life: Life;
  state: 'open' | 'settled' | 'released' | 'gone';
  isPosted: boolean;
}

/** What a process does with one lease. */
export interface Part {
  readonly user: string;
  readonly key: string;
  /** How much it had in use in the last while. */
  readonly used: History;
  /** Credits held by open calls. */
  open: number;
  /** Credits settled and not in the ledger. */
  unposted: number;
  /** Credits settled of which the process does not know that they are in the ledger. */
  unheard: number;
  /** What the process may use, by what it has said and heard. */
  amount: number;
  /** Costs of the calls in line. */
  readonly waiting: { readonly cost: number; readonly sinceMs: number }[];
  /** When it last heard that others were asked to give back. */
  againMs: number;
  /** The store's last no, as heard. */
  no: { readonly need: number; readonly short: 'user' | 'key'; readonly heardMs: number } | null;
}

/** One process from its start to its end. */
export class Life {
  readonly slot: number;
  readonly number: number;
  state: 'running' | 'paused' | 'dead' | 'closed' = 'running';
  isClosing = false;
  /** How many charges it could not hand in before its end. */
  lost = 0;
  /** How long it was stopped, all in all. */
  stoppedMs = 0;
  /** How many charges it has settled without hearing that they are in the ledger. */
  owed = 0;
  /** The instance that it is at present. */
  instance = '';
  readonly parts = new Map<string, Part>();
  /** What it had leased when it was fenced and has not claimed again, by lease. */
  readonly claims = new Map<string, { readonly amount: number; readonly sinceMs: number }>();

  constructor(slot: number, number: number) {
    this.slot = slot;
    this.number = number;
  }

  part(user: string, key: string): Part {
    const name = `${user} ${key}`;
    let part = this.parts.get(name);
    if (part === undefined) {
      part = {
        user,
        key,
        used: new History(),
        open: 0,
        unposted: 0,
        unheard: 0,
        amount: 0,
        waiting: [],
        againMs: 0,
        no: null,
      };
      this.parts.set(name, part);
    }
    return part;
  }
}

/** How long trouble is an excuse: until a process that has stopped is fenced, and what came late is over. */
const troubleMs = 20_000;

const nothing: Books = { users: [], keys: [], leases: [], live: [], posted: [], used: 0 };

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

  hold(hold: Omit<HoldFacts, 'state' | 'isPosted'>): void {
    this.holds.set(hold.id, { ...hold, state: 'open', isPosted: false });
    hold.life.part(hold.user, hold.key).open += hold.cost;
    this.noteFree(hold.user);
  }

  settle(hold: HoldFacts): void {
    hold.state = 'settled';
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
    life.instance = instance;
    for (const { user, key, keep } of leases) {
      const carried = charges
        .map(({ id }) => this.holds.get(id))
        .filter((hold) => hold?.user === user && hold.key === key);
      life.part(user, key).amount = keep + carried.reduce((sum, hold) => sum + (hold?.cost ?? 0), 0);
    }
  }

  /** The process hears an answer. */
  heard(life: Life, { charges, leases }: SyncMessage, reply: SyncReply): void {
    for (const { id, user } of charges) {
      const hold = this.holds.get(id);
      if (hold === undefined || !reply.done.has(user)) continue;
      life.part(user, hold.key).unheard -= hold.cost;
      life.owed -= 1;
    }
    for (const { user, key, amount, answer, short } of reply.leases) {
      const part = life.part(user, key);
      part.amount = amount;
      const need = leases.find((ask) => ask.user === user && ask.key === key)?.need ?? 0;
      if (answer === 'again') part.againMs = this.nowMs;
      if (answer === 'no') part.no = { need, short: short ?? 'user', heardMs: this.nowMs };
    }
  }

  /** The process hears that it was taken for dead. */
  heardStale(life: Life): void {
    for (const part of life.parts.values()) part.amount = part.open + part.unheard;
  }

  /** All that it held is gone with it, and what it settled and did not hand in. */
  die(life: Life): void {
    life.state = 'dead';
    for (const hold of this.holds.values()) if (hold.life === life && hold.state === 'open') hold.state = 'gone';
    for (const part of life.parts.values()) part.open = 0;
    this.noteAllFree();
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
