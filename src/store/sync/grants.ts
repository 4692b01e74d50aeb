// How much of a user's credits each lease gets: the pure arithmetic inside a sync, run while the user's row is locked.
// A lease reserves and never moves credits. What may be granted is what no other live lease has reserved; near the end
// it is exactly one call, so that the last credits go to whoever asks first and to nobody twice.

import { strict as assert } from 'node:assert';
import type { Recall } from '../database.ts';

/** What an instance says about one of its leases. Credits throughout. */
export interface LeaseAsk {
  readonly user: string;
  /** '' for the user's lease, or the id of a key that has a limit of its own. */
  readonly key: string;
  /** What the instance goes on using of the lease once the message's charges are posted. Always granted. */
  readonly keep: number;
  /** Cost of the first waiting call, or 0. */
  readonly need: number;
  /** What it would like on top of `keep`. */
  readonly want: number;
  /** `keep` is exactly what is in use: nothing idle is held back. */
  readonly emptied: boolean;
  /** Some of `keep` may be booked already, so what is short because of it is not gone. By default false. */
  readonly doubted?: boolean;
}

export interface LeaseAnswer {
  readonly user: string;
  readonly key: string;
  /** The lease from now on. */
  readonly amount: number;
  /** The user's credits after the message's charges. */
  readonly balance: number;
  /** The sum of the user's live leases from now on. */
  readonly leased: number;
  /** `again`: other leases were asked to give back; `no`: the need is not covered, by the user's credits or the key's limit. */
  readonly answer: 'ok' | 'again' | 'no';
  readonly short: 'user' | 'key' | null;
}

export interface LiveLease {
  readonly key: string;
  readonly instance: string;
  readonly amount: number;
  readonly recall: Recall;
}

/** One user as the locked row and its live leases say, with the message's charges already posted. */
export interface Books {
  readonly credits: number;
  readonly leases: readonly LiveLease[];
  /** What each limited key in the asks may still spend, leases not counted. */
  readonly keyCredits: ReadonlyMap<string, number>;
}

export interface Allotment {
  readonly answers: LeaseAnswer[];
  /** The asking instance's leases as they are to be written; 0 means the row goes. */
  readonly own: LiveLease[];
  /** Leases, of any instance, to be marked `asked`. */
  readonly asked: LiveLease[];
}

/** Answers all asks of one instance for one user. Needs come before wishes. */
export function allot(books: Books, asks: readonly LeaseAsk[], me: string, instances: number): Allotment {
  assert.ok(instances >= 1, 'the asking instance is itself live');
  const leases = new Map(books.leases.map((lease) => [nameOf(lease.key, lease.instance), lease]));
  // What the message gives up is free for every ask in it, so all are taken back to `keep` before any is granted.
  for (const ask of asks) leases.set(nameOf(ask.key, me), keptLease(ask, me, leases.get(nameOf(ask.key, me))));
  const asked = new Map<string, LiveLease>();
  // More is reserved than there is once somebody who was fenced has handed in what it sold: what is idle is not sold too.
  if (books.credits < sumOf(leases.values())) for (const lease of leases.values()) askBack(lease);
  const said = asks.toSorted((a, b) => Math.sign(b.need) - Math.sign(a.need)).map(answer);
  const leased = sumOf(leases.values());
  // What is spread comes last, here and wherever many are made: V8 gives a class of its own to each object that gets more after it.
  const answers = said.map((each) => ({ leased, ...each }));
  const own = asks.map((ask) => leaseOf(ask.key));
  return { answers, own, asked: [...asked.values()] };

  function askBack(lease: LiveLease): void {
    if (lease.amount > 0 && lease.recall === '') asked.set(nameOf(lease.key, lease.instance), lease);
  }

  function leaseOf(key: string): LiveLease {
    const lease = leases.get(nameOf(key, me));
    assert.ok(lease !== undefined, 'every asked lease has been set to what it keeps');
    return lease;
  }

  function answer(ask: LeaseAsk): Omit<LeaseAnswer, 'leased'> {
    const lease = leaseOf(ask.key);
    const userFree = books.credits - sumOf(leases.values());
    const keyFree = ask.key === '' ? Number.POSITIVE_INFINITY : keyCreditsFree(ask.key);
    const free = Math.min(userFree, keyFree);
    const grant = grantOf(ask, free, instances);
    const amount = lease.amount + grant;
    if (grant > 0) leases.set(nameOf(ask.key, me), { ...lease, amount, recall: '' });
    const said = { user: ask.user, key: ask.key, amount, balance: books.credits };
    if (ask.need === 0 || free >= ask.need) return { answer: 'ok', short: null, ...said };
    const short = userFree < ask.need ? 'user' : 'key';
    const idle = [...leases.values()].filter((other) => other !== lease && mayGiveBack(other, short, ask.key));
    // Where all that others may give back would not do, nobody is asked: it is the same no, sooner.
    if ((short === 'user' ? userFree : keyFree) + sumOf(idle) < ask.need) return { answer: 'no', short, ...said };
    for (const other of idle) askBack(other);
    return { answer: 'again', short, ...said };
  }

  function keyCreditsFree(key: string): number {
    const ofKey = [...leases.values()].filter((lease) => lease.key === key);
    return (books.keyCredits.get(key) ?? 0) - sumOf(ofKey);
  }
}

/** 0 when the need is not covered; else the wish, but no more than a fair part of what is free, and at least the need. */
function grantOf({ need, want }: LeaseAsk, free: number, instances: number): number {
  if (free < need) return 0;
  const fairPart = Math.floor(free / (2 * instances));
  return Math.max(0, Math.min(Math.max(want, need), Math.max(need, fairPart)));
}

function keptLease(ask: LeaseAsk, me: string, before: LiveLease | undefined): LiveLease {
  assert.ok(Number.isSafeInteger(ask.keep) && ask.keep >= 0, 'a lease keeps a whole number of credits');
  return { key: ask.key, instance: me, amount: ask.keep, recall: recallOf(ask, before) };
}

/** Whoever needs what is doubted waits for it: a no would be wrong. */
function recallOf({ emptied, doubted = false }: LeaseAsk, before: LiveLease | undefined): Recall {
  if (doubted) return '';
  return emptied ? 'answered' : (before?.recall ?? '');
}

/** Waiting is not holding: a lease that has answered keeps only what its calls in flight use. */
function mayGiveBack(lease: LiveLease, short: 'user' | 'key', key: string): boolean {
  return lease.amount > 0 && lease.recall !== 'answered' && (short === 'user' || lease.key === key);
}

function sumOf(leases: Iterable<LiveLease>): number {
  let sum = 0;
  for (const lease of leases) sum += lease.amount;
  return sum;
}

function nameOf(key: string, instance: string): string {
  return `${key} ${instance}`;
}
