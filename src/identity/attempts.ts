// Limits on what one address may try: failed credentials, sign-ins that begin, users that are made. A limit never refuses a
// credential that is good: it changes what failures are answered with, and has what is not known from an address that
// fails too often looked up one at a time, as long as not too much of it waits.

import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';

export interface AttemptsOptions {
  /** So many in a window are fine. */
  readonly max: number;
  readonly windowMs: number;
}

/** Addresses kept; beyond that the one that was seen longest ago starts anew. */
const addressesMax = 10_000;
/** Look-ups that wait for their turn, for each address. */
const waitingMax = 100;

/** For the whole process, unless said otherwise: generous to people, tight for programs that guess. */
export const attemptLimits = {
  failedCredentials: { max: 100, windowMs: 60_000 },
  signInStarts: { max: 30, windowMs: 60_000 },
  signUps: { max: 20, windowMs: 60 * 60_000 },
} as const satisfies Record<string, AttemptsOptions>;

export class Attempts {
  readonly #max: number;
  readonly #counts: LRUCache<string, { count: number }>;
  readonly #turns = new Map<string, { last: Promise<unknown>; waiting: number }>();
  readonly #windowMs: number;
  /** performance.now(), until which some address may be over the limit. */
  #overUntil = Number.NEGATIVE_INFINITY;

  constructor({ max, windowMs }: AttemptsOptions) {
    this.#max = max;
    this.#counts = new LRUCache({ max: addressesMax, ttl: windowMs });
    this.#windowMs = windowMs;
  }

  /** Whether any address may be over the limit: asked before anything is found out about one. */
  get isAnyOver(): boolean {
    return performance.now() < this.#overUntil;
  }

  isOver(address: string): boolean {
    return (this.#counts.get(nameOf(address))?.count ?? 0) > this.#max;
  }

  /** When an address's count begins anew. */
  retryAfterSeconds(address: string): number {
    return Math.max(1, Math.ceil(this.#counts.getRemainingTTL(nameOf(address)) / 1000));
  }

  /** Counts an attempt. False when it is one too many. */
  take(address: string): boolean {
    const name = nameOf(address);
    const known = this.#counts.get(name);
    if (known === undefined) this.#counts.set(name, { count: 1 });
    else known.count += 1;
    if ((known?.count ?? 1) <= this.#max) return true;
    this.#overUntil = performance.now() + this.#windowMs;
    return false;
  }

  /** Does the work after all that this address had done before; at once where too much of it waits. */
  inTurn<T>(address: string, work: () => Promise<T>): Promise<T> {
    const name = nameOf(address);
    const turn = this.#turns.get(name) ?? { last: Promise.resolve(), waiting: 0 };
    if (turn.waiting >= waitingMax) return work();
    this.#turns.set(name, turn);
    turn.waiting += 1;
    const done = turn.last.then(work).finally(() => {
      turn.waiting -= 1;
      if (turn.waiting === 0) this.#turns.delete(name);
    });
    turn.last = done.catch(() => {});
    return done;
  }
}

/** Whoever has an IPv6 address has the 2^64 beside it. There are many ways to write one; URLs know a single one. */
function nameOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [withoutZone = ''] = address.split('%');
  const [head = '', tail = ''] = new URL(`http://[${withoutZone}]`).hostname.slice(1, -1).split('::');
  const [before, after] = [groupsOf(head), groupsOf(tail)];
  const groups = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  const [high = 0, low = 0] = groups.slice(6);
  // An IPv4 address in IPv6's clothes: they all are of one network.
  if (groups.slice(0, 6).join() === '0,0,0,0,0,65535') return [high >> 8, high & 255, low >> 8, low & 255].join('.');
  return groups.slice(0, 4).join(':');
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}
