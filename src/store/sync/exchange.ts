// The one exchange between a gateway's memory and the store: charges go in, leases come out, in one transaction of two
// round trips. The first locks the users and reads; the arithmetic happens here, on rows that cannot move; the second
// writes and commits. Safe to repeat: charges count once by id, leases are set to a value and never changed by a
// difference, and `seq` shuts out a message that arrives late.

import { strict as assert } from 'node:assert';
import type { Database, Ending } from '../database.ts';
import { allot, type Books, type LeaseAnswer, type LeaseAsk } from './grants.ts';
import {
  askedLeases,
  changesMax,
  changesSince,
  groupBy,
  knownCharges,
  type LeaseRow,
  liveInstances,
  liveLeases,
  lockKeys,
  lockUsers,
  moveOn,
  presentKeys,
  presentUsers,
  spentBy,
  type Writes,
  writesOf,
} from './statements.ts';
import { runnerOf, type TransactionRunner } from './transaction.ts';

/** Limits of one message, whoever sends it: they bound the time a transaction holds its locks. */
export const chargesMax = 1_000;
export const usersMax = 500;

/** A settled call. `id` was made before the call was forwarded. */
export interface Charge {
  readonly id: string;
  readonly user: string;
  readonly key: string | null;
  readonly cost: number;
  readonly route: string;
  readonly status: number;
  /** Absent in the journal of a program that did not note it. */
  readonly ended?: Ending;
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
  /** The mark of the last reply that was heard. */
  readonly since?: string | null;
}

export interface LeaseName {
  readonly user: string;
  readonly key: string;
}

/** A key, user or session (by its hash) that changed. */
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
  /** What was committed since the mark in the message; null where there was none, or too much: all may have changed. */
  readonly changes: readonly Change[] | null;
  /** Up to where this reply tells changes, for the next message. */
  readonly mark: string;
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
export async function exchange(
  database: Database,
  message: SyncMessage,
  locks: LockPolicy,
  inTransaction: TransactionRunner = runnerOf(database),
): Promise<SyncAnswer> {
  const { db } = database;
  const since = message.since ?? null;
  const entries = [...message.charges, ...message.leases];
  const users = [...new Set(entries.map(({ user }) => user))].sort();
  const keys = [...new Set(entries.map(({ key }) => key ?? ''))].filter((key) => key !== '');
  return inTransaction<SyncAnswer>(async (talk) => {
    const [me, locked, lockedKeys, present, allKeys, leases, known, instances, recalls, changes] = await talk([
      moveOn(db, message),
      lockUsers(db, users, locks),
      lockKeys(db, keys, locks),
      presentUsers(db, users),
      presentKeys(db, keys),
      liveLeases(db, users),
      knownCharges(db, message),
      liveInstances(db),
      askedLeases(db, message.instance),
      changesSince(db, since),
    ]);
    if (me.length === 0) return { result: { stale: true }, last: [] };
    const busy = busyUsers(entries, lockedKeys, allKeys);
    const free = locked.filter(({ id }) => !busy.has(id));
    const seen: Seen = { users, locked: free, present, leases, known, keys: lockedKeys, instances: instances.length };
    const plan = planOf(message, seen);
    const answered = new Set(message.leases.filter((ask) => ask.emptied).map(({ user, key }) => `${user} ${key}`));
    const result: SyncReply = {
      stale: false,
      done: plan.done,
      leases: plan.answers,
      recalls: recalls.filter(({ user, key }) => !(plan.done.has(user) && answered.has(`${user} ${key}`))),
      instances,
      ...newsOf(since, changes),
      gone: plan.gone,
      overdraft: plan.overdraft,
    };
    return { result, last: writesOf(db, message.instance, plan) };
  });
}

/** Users with a key that somebody else has locked: they wait with it. */
function busyUsers(
  entries: readonly { user: string; key: string | null }[],
  locked: readonly { id: string }[],
  present: readonly { id: string }[],
): Set<string> {
  const free = new Set(locked.map(({ id }) => id));
  const busy = new Set(present.map(({ id }) => id).filter((id) => !free.has(id)));
  return new Set(entries.filter(({ key }) => key !== null && busy.has(key)).map(({ user }) => user));
}

type ChangeRow = { mark: string } & (Change | { id: null });

function newsOf(since: string | null, rows: readonly ChangeRow[]): Pick<SyncReply, 'changes' | 'mark'> {
  const [first] = rows;
  assert.ok(first !== undefined, 'the mark comes also where nothing has changed');
  const { mark } = first;
  if (since === null || rows.length > changesMax) return { changes: null, mark };
  return {
    changes: rows.flatMap((row) => (row.id === null ? [] : [{ id: row.id, kind: row.kind, ref: row.ref }])),
    mark,
  };
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
    own.push(...allotment.own.map((lease) => ({ user, ...lease })));
    asked.push(...allotment.asked.map((lease) => ({ user, ...lease })));
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
