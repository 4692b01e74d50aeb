// Judges what the program did, after each step: the books as the database has them against what was seen. Knows the
// promises and nothing of how the meter keeps them.

import type { SyncAnswer, SyncMessage } from '../../src/store/sync/exchange.ts';
import type { Books, BooksReader } from './books.ts';
import type { Life } from './life.ts';
import type { Model } from './model.ts';

/** A promise that was not kept. `promise` is the number of an invariant in ARCHITECTURE.md, or says what else it is. */
export interface Violation {
  readonly promise: number | 'end' | 'program';
  readonly message: string;
}

export type Complain = (promise: Violation['promise'], message: string) => void;

/** What may have changed the database since the last look. */
export interface Commit {
  readonly exchanges: readonly { life: Life; message: SyncMessage; answer: SyncAnswer }[];
  /** By how much hands have lowered what a user, or a limited key, may spend. */
  readonly lowered: ReadonlyMap<string, number>;
}

/** How long an edit by hand may take to count everywhere, with a little for the drift of clocks. */
const editMs = 1_100;

/** How long an instance stands still before others fence it, with a little less for the drift of clocks. */
const stoppedMs = 7_800;

export class Auditor {
  readonly #model: Model;
  readonly #reader: BooksReader;
  readonly #complain: Complain;
  /** Since when more is leased than there is, for each user and limited key where that is so. */
  readonly #shortSinceMs = new Map<string, number>();
  /** When each instance was last seen to move on. */
  readonly #movedMs = new Map<string, number>();
  /** How many commits were looked at. */
  commits = 0;
  /** How many processes were fenced alive. */
  fencedAlive = 0;
  /** How often what is leased was more than there is, for a reason that is allowed. */
  excused = 0;

  constructor(model: Model, reader: BooksReader, complain: Complain) {
    this.#model = model;
    this.#reader = reader;
    this.#complain = complain;
  }

  async look(commit: Commit): Promise<void> {
    const model = this.#model;
    const before = model.books;
    const after = await this.#reader.read(model.users, [...model.unposted.keys()]);
    this.commits += 1;
    model.books = after;
    this.#judgeCharges(after);
    this.#noteFenced(before, after);
    this.#noteMoves(before, after);
    this.#judgeBooks(after);
    this.#judgeLeases(before, after, commit);
    this.#judgeUse(after);
    const [exchange] = commit.exchanges;
    if (exchange !== undefined && commit.exchanges.length === 1) {
      // A charge of the same message may have asked anew: a trigger takes one that came late for an edit by hand.
      const emptied = answeredIn(after, commit.lowered.size === 0 ? before : after);
      this.#judgeNoes(before, after, exchange, emptied);
      if (commit.lowered.size === 0) this.#judgeWords(before, after, exchange.answer);
    }
    model.noteAllFree();
  }

  /** 4 and 5: what is in the ledger was settled, once, and says what it should. */
  #judgeCharges({ posted, users, keys }: Books): void {
    const model = this.#model;
    for (const { id, user, key, amount, ended } of posted) {
      const hold = model.unposted.get(id);
      if (hold === undefined) continue;
      model.post(hold);
      const isRight = hold.user === user && hold.keyId === key && hold.cost === -amount;
      if (!isRight) this.#complain(4, `the charge ${id} of ${hold.cost} was booked as ${amount} for ${user} ${key}`);
      if (hold.ended !== ended) this.#complain(4, `the charge ${id} ended as ${hold.ended} and was booked as ${ended}`);
    }
    for (const { id, charges, charged } of users) {
      const [count, sum] = [model.postedCount.get(id) ?? 0, model.postedSum.get(id) ?? 0];
      if (charges !== count || charged !== -sum) {
        this.#complain(5, `${id} has ${charges} charges of ${-charged} in the ledger, and ${count} of ${sum} were due`);
      }
    }
    for (const { id, spent } of keys) {
      const sum = model.postedSum.get(id) ?? 0;
      if (spent !== sum) this.#complain(4, `the key ${id} has spent ${spent}, and the ledger says ${sum}`);
    }
  }

  /** 1: the balance is the sum of the ledger, and what was given less what was charged. */
  #judgeBooks({ users, used, astray }: Books): void {
    for (const { id, credits, booked } of users) {
      if (credits !== booked) this.#complain(1, `${id} has ${credits} credits, and the ledger says ${booked}`);
      const due = this.#model.credits.get(id) ?? 0;
      if (credits !== due) this.#complain(1, `${id} has ${credits} credits instead of ${due}`);
    }
    const charged = users.reduce((sum, user) => sum - user.charged, 0);
    if (used !== charged) this.#complain(1, `usage_hourly says ${used} were charged, and the ledger ${charged}`);
    if (astray !== 0) this.#complain(1, `${astray} totals of usage are not the sums of usage_hourly`);
  }

  #noteMoves(before: Books, after: Books): void {
    const was = new Map(before.live.map(({ id, seq }) => [id, seq]));
    for (const { id, seq } of after.live) if (was.get(id) !== seq) this.#movedMs.set(id, this.#model.nowMs);
  }

  /**
   * Who was fenced, which takes eight seconds of standing still or an end, may claim what it had leased: its calls use it, or
   * its charges.
   */
  #noteFenced(before: Books, after: Books): void {
    for (const life of this.#model.lives) {
      if (!isLive(before, life.instance) || isLive(after, life.instance)) continue;
      if (!life.hasEnded && !life.isClosing) this.#judgeFencing(life);
      for (const { user, key, instance, amount } of before.leases) {
        if (instance !== life.instance) continue;
        const name = `${user} ${key}`;
        const earlier = life.claims.get(name);
        const sinceMs = earlier?.sinceMs ?? this.#model.nowMs;
        life.claims.set(name, { amount: (earlier?.amount ?? 0) + amount, sinceMs });
      }
    }
  }

  #judgeFencing(life: Life): void {
    this.fencedAlive += 1;
    const stoodMs = this.#model.nowMs - (this.#movedMs.get(life.instance) ?? 0);
    if (stoodMs < stoppedMs) this.#complain(2, `process ${life.number} was fenced, and had moved ${stoodMs} ms before`);
  }

  /**
   * 2: nothing that is done raises what is leased above what there is, but for hands that lower it, processes that were
   * fenced alive, and what an outage has allowed.
   */
  #judgeLeases(before: Books, after: Books, { exchanges, lowered }: Commit): void {
    const excuses = new Map(lowered);
    for (const { life, message, answer } of exchanges) {
      if (answer.stale) continue;
      const wasLive = isLive(before, message.instance) || isLive(after, message.instance);
      if (!wasLive) this.#complain(2, `process ${life.number} was heard as an instance that is fenced`);
      for (const { user, key } of message.leases) {
        if (!answer.done.has(user)) continue;
        const part = life.part(user, key);
        // Whoever speaks for the dead reserves also what is in the ledger already, for a moment.
        const doubted = Math.max(0, part.left - part.unposted);
        const claim = claimOf(life, user, key) + part.beyond + doubted;
        life.claims.delete(`${user} ${key}`);
        for (const name of key === '' ? [user] : [user, key]) excuses.set(name, (excuses.get(name) ?? 0) + claim);
      }
    }
    const [was, is] = [excessOf(before), excessOf(after)];
    for (const [name, excess] of is) {
      const allowed = Math.max(0, was.get(name) ?? 0) + (excuses.get(name) ?? 0);
      if (excess > allowed)
        this.#complain(2, `${name} is leased ${excess} more than there is, and ${allowed} are excused`);
      if (excess <= 0) this.#shortSinceMs.delete(name);
      else if (excess > (was.get(name) ?? 0)) this.#shortSinceMs.set(name, this.#model.nowMs);
      else this.#judgeIdle(name, after);
    }
  }

  /** 2: where more is leased than there is, because hands have lowered it, what is idle is given back within a second. */
  #judgeIdle(user: string, { leases }: Books): void {
    this.excused += 1;
    const model = this.#model;
    const shortForMs = model.nowMs - (this.#shortSinceMs.get(user) ?? model.nowMs);
    if (!model.isCalm || !model.users.includes(user) || shortForMs < editMs) return;
    for (const lease of leases) {
      const life = model.lives.find(({ instance, state }) => instance === lease.instance && state === 'running');
      if (lease.user !== user || life === undefined) continue;
      const { most } = life.part(user, lease.key).used.since(model.nowMs - editMs);
      if (lease.amount > Math.max(0, most)) {
        this.#complain(
          2,
          `${user} has too little, and process ${life.number} keeps ${lease.amount} and has used ${most}`,
        );
      }
    }
  }

  /** What an outage will go by: the balance, and the sum of what is leased of it. */
  #judgeWords(before: Books, after: Books, answer: SyncAnswer): void {
    if (answer.stale) return;
    for (const { user, balance, leased } of answer.leases) {
      const credits = after.users.find(({ id }) => id === user)?.credits;
      const sum = leasedOf(user, after.leases);
      // Of those who were fenced meanwhile it may have counted the leases.
      const fenced = leasedOf(
        user,
        before.leases.filter(({ instance }) => !isLive(after, instance)),
      );
      if (balance === credits && leased >= sum && leased <= sum + fenced) continue;
      this.#complain(2, `the store said that ${user} has ${balance}, ${leased} leased, and it is ${credits}, ${sum}`);
    }
  }

  /** 6: the store says no when what is free, and what leases hold that were not emptied by their owner's word, does not do. */
  #judgeNoes(before: Books, after: Books, exchange: Commit['exchanges'][number], emptied: ReadonlySet<string>): void {
    const { message, answer } = exchange;
    if (answer.stale) return;
    const { users, keys } = after;
    // Whoever was fenced while the store made up its mind was alive to it.
    const gone = before.leases.filter(({ instance }) => isLive(before, instance) && !isLive(after, instance));
    const leases = [...after.leases, ...gone];
    for (const { user, key, answer: said, short } of answer.leases) {
      if (said !== 'no') continue;
      const need = message.leases.find((ask) => ask.user === user && ask.key === key)?.need ?? 0;
      const limited = keys.find(({ id }) => id === key);
      const all = leases.filter((lease) => lease.user === user && (short === 'user' || lease.key === key));
      const left =
        short === 'user'
          ? (users.find(({ id }) => id === user)?.credits ?? 0)
          : (limited?.limit ?? Number.POSITIVE_INFINITY) - (limited?.spent ?? 0);
      const free = left - all.reduce((sum, lease) => sum + lease.amount, 0);
      // What it has emptied itself in this message may have been granted anew in the same.
      const own = new Set(
        message.leases.filter((ask) => ask.emptied || ask.keep === 0).map((ask) => nameOf(ask, message.instance)),
      );
      const idle = all.filter((lease) => ![emptied, own].some((names) => names.has(nameOf(lease, lease.instance))));
      const might = free + idle.reduce((sum, lease) => sum + lease.amount, 0);
      if (might >= need)
        this.#complain(6, `the store refused ${need} to ${user} ${key}, and ${might} might have come back`);
    }
  }

  /** 3: no process uses more than its lease in the database, unless it was fenced or an outage allowed it, and has not claimed it yet. */
  #judgeUse(books: Books): void {
    const { leases } = books;
    const rows = new Map(leases.map(({ user, key, instance, amount }) => [`${user} ${key} ${instance}`, amount]));
    for (const life of this.#model.lives) {
      if (life.hasEnded || !isLive(books, life.instance)) continue;
      for (const [name, { open, unposted, beyond }] of life.parts) {
        const row = rows.get(`${name} ${life.instance}`) ?? 0;
        if (open + unposted > row + (life.claims.get(name)?.amount ?? 0) + beyond) {
          this.#complain(3, `process ${life.number} uses ${open} + ${unposted} of ${name}, and its lease is ${row}`);
        }
      }
    }
  }
}

function leasedOf(user: string, leases: Books['leases']): number {
  return leases.reduce((sum, lease) => sum + (lease.user === user ? lease.amount : 0), 0);
}

/** What a process that was fenced may claim: what its calls have used since, and no more than it had. */
function claimOf(life: Life, user: string, key: string): number {
  const claim = life.claims.get(`${user} ${key}`);
  if (claim === undefined) return 0;
  return Math.min(claim.amount, Math.max(0, life.part(user, key).used.since(claim.sinceMs).most));
}

function isLive({ live }: Books, instance: string): boolean {
  return live.some(({ id }) => id === instance);
}

/** The leases that have answered a recall, by one reading or the other. */
function answeredIn(...books: readonly Books[]): Set<string> {
  const answered = books.flatMap(({ leases }) => leases.filter(({ recall }) => recall === 'answered'));
  return new Set(answered.map((lease) => nameOf(lease, lease.instance)));
}

function nameOf({ user, key }: { readonly user: string; readonly key: string }, instance: string): string {
  return `${user} ${key} ${instance}`;
}

/** By how much more is leased than there is, for each user and limited key. */
function excessOf({ users, keys, leases }: Books): Map<string, number> {
  const excess = new Map<string, number>();
  for (const { id, credits } of users) excess.set(id, -credits);
  for (const { id, limit, spent } of keys) excess.set(id, limit === null ? Number.NEGATIVE_INFINITY : spent - limit);
  for (const { user, key, amount } of leases) {
    excess.set(user, (excess.get(user) ?? 0) + amount);
    if (key !== '') excess.set(key, (excess.get(key) ?? 0) + amount);
  }
  return excess;
}
