// The one exchange between a gateway's memory and the store: charges go in, leases come out, in one transaction of two
// round trips. The first locks the users and reads; the arithmetic happens here, on rows that cannot move; the second
// writes and commits. Safe to repeat: charges count once by id, leases are set to a value and never changed by a
// difference, and `seq` shuts out a message that arrives late.

import type { Database } from '../database.ts';
import { allot, type Books, type LeaseAnswer, type LeaseAsk } from './grants.ts';
import {
  askedLeases,
  groupBy,
  knownCharges,
  type LeaseRow,
  limitedKeys,
  liveInstances,
  liveLeases,
  lockUsers,
  moveOn,
  presentUsers,
  recentChanges,
  spentBy,
  type Writes,
  writesOf,
} from './statements.ts';
import { inTransaction } from './transaction.ts';

/** A settled call. `id` was made before the call was forwarded. */
export interface Charge {
  readonly id: string;
  readonly user: string;
  readonly key: string | null;
  readonly cost: number;
  readonly route: string;
  readonly status: number;
  readonly requestId: string;
  /** RFC 3339, UTC. */
  readonly at: string;
}

/** Calls that moved no credits, counted per user, route and hour. They ride along at most once. */
export interface Tally {
  readonly user: string;
  readonly route: string;
  /** RFC 3339, the start of the hour in UTC. */
  readonly hour: string;
  calls: number;
  failed: number;
  refused: number;
}

export interface SyncMessage {
  readonly instance: string;
  readonly seq: number;
  readonly charges: readonly Charge[];
  readonly leases: readonly LeaseAsk[];
  readonly tallies: readonly Tally[];
}

export interface LeaseName {
  readonly user: string;
  readonly key: string;
}

/** A key, user or session (by its hash) that changed in the last minute. */
export interface Change {
  readonly id: number;
  readonly kind: 'key' | 'user' | 'session';
  readonly ref: string;
}

export interface SyncReply {
  readonly stale: false;
  /** Users whose charges and leases are done; the others were locked by somebody else and stay for the next message. */
  readonly done: ReadonlySet<string>;
  readonly leases: readonly LeaseAnswer[];
  /** This instance's leases that somebody asks for. */
  readonly recalls: readonly LeaseName[];
  /** The live instances and where they stand. */
  readonly instances: readonly { readonly id: string; readonly seq: number }[];
  readonly changes: readonly Change[];
  /** Users whose charges went to the ledger alone because their row is gone. */
  readonly gone: readonly string[];
  /** Credits by which balances fell below zero in this exchange. */
  readonly overdraft: number;
}

/** `stale`: the instance is fenced, or a later message has been heard; nothing was changed. */
export type SyncAnswer = SyncReply | { readonly stale: true };

/** `skip` leaves locked users for the next message; `wait` throws UsersLockedError when a lock takes too long. */
export type LockPolicy = 'wait' | 'skip';

/** Carries out one message. Throws what the driver throws when the store is down: the outcome is then unknown. */
export async function exchange(database: Database, message: SyncMessage, locks: LockPolicy): Promise<SyncAnswer> {
  const { db } = database;
  const users = [...new Set([...message.charges, ...message.leases].map(({ user }) => user))].sort();
  return inTransaction<SyncAnswer>(database, async (talk) => {
    const [me, locked, present, leases, known, keys, instances, recalls, changes] = await talk([
      moveOn(db, message),
      lockUsers(db, users, locks),
      presentUsers(db, users),
      liveLeases(db, users),
      knownCharges(db, message),
      limitedKeys(db, message),
      liveInstances(db),
      askedLeases(db, message.instance),
      recentChanges(db),
    ]);
    if (me.length === 0) return { result: { stale: true }, last: [] };
    const seen: Seen = { users, locked, present, leases, known, keys, instances: instances.length };
    const plan = planOf(message, seen);
    const answered = new Set(message.leases.filter((ask) => ask.emptied).map(({ user, key }) => `${user} ${key}`));
    const result: SyncReply = {
      stale: false,
      done: plan.done,
      leases: plan.answers,
      recalls: recalls.filter(({ user, key }) => !(plan.done.has(user) && answered.has(`${user} ${key}`))),
      instances,
      changes,
      gone: plan.gone,
      overdraft: plan.overdraft,
    };
    return { result, last: writesOf(db, message.instance, plan) };
  });
}

// What follows from it.

interface Seen {
  readonly users: readonly string[];
  readonly locked: readonly { id: string; credits: number }[];
  readonly present: readonly { id: string }[];
  readonly leases: readonly LeaseRow[];
  readonly known: readonly { id: string }[];
  readonly keys: readonly { id: string; limit: number | null; spent: number }[];
  readonly instances: number;
}

interface Plan extends Writes {
  readonly done: ReadonlySet<string>;
  readonly gone: readonly string[];
  readonly answers: readonly LeaseAnswer[];
  readonly overdraft: number;
}

function planOf(message: SyncMessage, seen: Seen): Plan {
  const present = new Set(seen.present.map(({ id }) => id));
  const gone = seen.users.filter((user) => !present.has(user));
  const done = new Set([...seen.locked.map(({ id }) => id), ...gone]);
  const known = new Set(seen.known.map(({ id }) => id));
  const posted = message.charges.filter((charge) => done.has(charge.user) && !known.has(charge.id));
  const credits = new Map(seen.locked.map((row) => [row.id, row.credits]));
  const spent = spentBy(posted, (charge) => charge.user);
  const keyCredits = keyCreditsOf(seen.keys, posted);
  const answers: LeaseAnswer[] = [];
  const own: LeaseRow[] = [];
  const asked: LeaseRow[] = [];
  const leases = groupBy(seen.leases, (lease) => lease.user);
  for (const [user, asks] of groupBy(message.leases, (ask) => ask.user)) {
    if (!done.has(user)) continue;
    const left = (credits.get(user) ?? 0) - (spent.get(user) ?? 0);
    const books: Books = { credits: left, leases: leases.get(user) ?? [], keyCredits };
    const allotment = allot(books, asks, message.instance, Math.max(1, seen.instances));
    answers.push(...allotment.answers);
    own.push(...allotment.own.map((lease) => ({ ...lease, user })));
    asked.push(...allotment.asked.map((lease) => ({ ...lease, user })));
  }
  return { done, gone, posted, tallies: message.tallies, answers, own, asked, overdraft: overdraftOf(credits, spent) };
}

/** What each limited key may still spend once these charges are posted. */
function keyCreditsOf(keys: Seen['keys'], posted: readonly Charge[]): Map<string, number> {
  const spent = spentBy(posted, (charge) => charge.key ?? '');
  return new Map(
    keys.map((key) => [
      key.id,
      key.limit === null ? Number.POSITIVE_INFINITY : key.limit - key.spent - (spent.get(key.id) ?? 0),
    ]),
  );
}

function overdraftOf(credits: ReadonlyMap<string, number>, spent: ReadonlyMap<string, number>): number {
  let overdraft = 0;
  for (const [user, before] of credits) {
    overdraft += Math.max(0, (spent.get(user) ?? 0) - before) - Math.max(0, -before);
  }
  return overdraft;
}
