// What the meter does while the store does not answer, as the operator has chosen. `serve`: from the leases first; beyond
// them each user has, on each instance and once for each outage, an allowance: a fair part of what nobody had reserved when
// the store spoke last. Its price is a balance below zero by at most that. `refuse`: nothing, and a gateway that was cut
// off has stopped before the others take it for dead and sell what it had.

import type { Fallback, Place } from '../fallback/fallback.ts';
import type { LastKnown } from '../fallback/last-known.ts';
import type { Debts } from '../journal/debts.ts';
import type { SyncReply } from '../store/sync/exchange.ts';
import type { Books } from './books.ts';
import { allowMore, endAllowance } from './lease.ts';
import { type Line, refuseAll, serveOrRefuse } from './line.ts';

export interface OutageTerms {
  readonly whenDown: 'serve' | 'refuse';
  /** What the store said last; used with `serve` alone. */
  readonly known: LastKnown;
  /** Takes over what was known before, and goes on keeping it. Null where it ends with the process. */
  readonly keep: ((place: Place) => Promise<Pick<Fallback, 'start' | 'close'>>) | null;
  /** What processes before this one and beside it have charged and the store has not acknowledged. */
  readonly debts: Pick<Debts, 'of' | 'forget'>;
}

/** With `refuse`, for so long after the last acknowledged message was sent holds are taken. After 8 s others would fence. */
const holdsMs = 6_000;

export class Outage {
  readonly #books: Books;
  readonly #terms: OutageTerms;
  /** What this outage allows the lines that have asked for it. */
  readonly #allowed = new Map<Line, number>();

  constructor(books: Books, terms: OutageTerms) {
    this.#books = books;
    this.#terms = terms;
    if (!this.isServed) books.holdsEndAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Whether calls are admitted while the store is down. */
  get isServed(): boolean {
    return this.#terms.whenDown === 'serve';
  }

  /** Takes in what a reply to a message of `sentAtMs` says of users and instances, before anything is made of it. */
  hear({ leases, instances }: SyncReply, sentAtMs: number): void {
    if (!this.isServed) {
      this.#books.holdsEndAtMs = sentAtMs + holdsMs;
      return;
    }
    const { known } = this.#terms;
    known.noteInstances(instances.length);
    known.noteAnswers(leases);
  }

  /** The store answers: allowances end. What is in use of one is told in the next messages, which always get it. */
  end(): void {
    for (const line of this.#allowed.keys()) {
      endAllowance(line.lease);
      if (line.lease.allowance > 0) this.#books.dirty.add(line);
    }
    this.#allowed.clear();
    this.#terms.debts.forget();
  }

  /** What is given back of an outage that is over is not sold again. */
  released(line: Line): void {
    endAllowance(line.lease, this.#allowed.get(line));
  }

  /** The store is down: calls in line are admitted as far as lease and allowance go, the others refused. */
  serve(line: Line, nowMs: number): void {
    if (!this.isServed) {
      refuseAll(line);
      return;
    }
    this.#allow(line);
    serveOrRefuse(line, nowMs);
  }

  /** Once for each outage; a key with a limit of its own has its lease and no more. */
  #allow(line: Line): void {
    if (this.#allowed.has(line)) return;
    this.#allowed.set(line, 0);
    const { account, key } = line.lease;
    const { known, debts } = this.#terms;
    const standing = known.standingOf(account.user);
    if (standing === null) return;
    const unposted = debts.of(account.user);
    account.balance = standing.credits - unposted;
    if (key !== '') return;
    const allowance = allowanceOf({ ...standing, instances: known.instances, unposted });
    this.#allowed.set(line, allowance);
    allowMore(line.lease, allowance);
  }
}

/**
 * A fair part of what no lease had reserved, less what this instance's predecessors have charged since: a restart renews
 * nothing.
 */
export function allowanceOf(facts: { credits: number; leased: number; instances: number; unposted: number }): number {
  const { credits, leased, instances, unposted } = facts;
  return Math.max(0, Math.floor((credits - leased) / instances) - unposted);
}
