// What one gateway process knows in memory: accounts, leases with their waiting lines, charges that the store has not
// acknowledged, and counts of calls that moved no credits. The meter writes here, the sync empties it.

import type { JournalOptions } from '../journal/journal.ts';
import type { Tally } from '../store/sync/exchange.ts';
import { type Account, openLease } from './lease.ts';
import type { Line } from './line.ts';
import { Owed } from './owed.ts';

export interface Books {
  readonly accounts: Map<string, Account>;
  readonly lines: Map<string, Line>;
  /** Settled, until acknowledged. */
  readonly owed: Owed;
  /** Lines with something to tell the store: calls in line, credits to give back, charges. */
  readonly dirty: Set<Line>;
  /** How many calls wait in all lines. */
  waitingCalls: number;
  /** Holds are taken from leases until then, by the clock. */
  holdsEndAtMs: number;
  tallies: Map<string, Tally>;
}

/** Counts beyond so many users, routes and hours at once are dropped: they are not money. */
const talliesMax = 10_000;

/** Empty books, with a journal that is opened. Throws what the system says when that cannot be. */
export function openBooks(journal: JournalOptions): Books {
  const books: Books = {
    accounts: new Map(),
    lines: new Map(),
    owed: new Owed(journal, (user, key) => lineOf(books, user, key, journal.clock.nowMs())),
    dirty: new Set(),
    waitingCalls: 0,
    holdsEndAtMs: Number.POSITIVE_INFINITY,
    tallies: new Map(),
  };
  return books;
}

/** The line of a user's lease, or of a limited key's; made when there is none. */
export function lineOf(books: Books, user: string, key: string, nowMs: number): Line {
  const name = key === '' ? user : `${user} ${key}`;
  const known = books.lines.get(name);
  if (known !== undefined) return known;
  const account = books.accounts.get(user) ?? { user, balance: 0, held: 0, unsent: 0, leases: 0 };
  account.leases += 1;
  books.accounts.set(user, account);
  const line: Line = { lease: openLease(account, key, nowMs), waiting: [], refusal: null, isRecalled: false };
  books.lines.set(name, line);
  return line;
}

/** Forgets a lease that holds nothing and the account with its last lease. */
export function dropLine(books: Books, line: Line): void {
  const { account, key } = line.lease;
  books.lines.delete(key === '' ? account.user : `${account.user} ${key}`);
  books.dirty.delete(line);
  account.leases -= 1;
  if (account.leases === 0) books.accounts.delete(account.user);
}

export function countCall(
  books: Books,
  user: string,
  route: string,
  hour: string,
  kind: 'calls' | 'failed' | 'refused',
) {
  const name = `${user} ${hour} ${route}`;
  let tally = books.tallies.get(name);
  if (tally === undefined) {
    if (books.tallies.size >= talliesMax) return;
    tally = { user, route, hour, calls: 0, failed: 0, refused: 0 };
    books.tallies.set(name, tally);
  }
  tally[kind] += 1;
}
