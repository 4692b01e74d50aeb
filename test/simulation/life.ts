// What the auditor knows of one process and of its calls: each hold as it was seen to be taken and to end, and what the
// process was seen to be granted.

import type { Clock } from '../../src/clock.ts';
import type { Ending } from '../../src/store/database.ts';
import type { SyncReply } from '../../src/store/sync/exchange.ts';

/** How a number was in the last while. */
export class History {
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
  /** How the process was told that its call ended; null unless it was settled. */
  ended: Ending | null;
  settledMs: number;
  /** When its own process heard that it is in the ledger. */
  heardMs: number;
  /** Its process died before it had to be on the disk. */
  isAtRisk: boolean;
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
  /** Credits of which, at its end, its journal may not know that they are in the ledger. */
  left: number;
  /** What the process may use, by what it has said and heard. */
  amount: number;
  /** By how much more it has used since it last heard of this lease: the allowance of an outage. */
  beyond: number;
  /** What callers who had left by the time they were served gave back, and at what moment. */
  returned: { readonly atMs: number; readonly credits: number };
  /** Costs of the calls in line. */
  readonly waiting: { readonly cost: number; readonly sinceMs: number }[];
  /** When it last heard that others were asked to give back. */
  againMs: number;
  /** The store's last no, as heard. */
  no: { readonly need: number; readonly short: 'user' | 'key'; readonly heardMs: number } | null;
}

/** What the store has said of a user. */
export interface Standing {
  readonly credits: number;
  /** What all instances have leased of them. */
  readonly leased: number;
  /** What those before the process owed of them for certain, when it heard this. */
  readonly owed: number;
  readonly heardMs: number;
  /** The time of day at which it was heard, as its process had it, in milliseconds. */
  readonly dateMs: number;
}

/** For so long a process goes by what it knows, by the time of day as it has it. */
const ageMaxMs = 24 * 60 * 60_000;

/** One process from its start to its end. */
export class Life {
  readonly slot: number;
  readonly number: number;
  /** Where it has its folder, beside those that it looks after. */
  readonly dataDir: string;
  state: 'running' | 'paused' | 'dead' | 'closed' = 'running';
  isClosing = false;
  /** How many charges it could not hand in before its end: of its own, and of others that it looked after. */
  lost = 0;
  /** How long it was stopped, all in all, and when it was and went on the last time. */
  stoppedMs = 0;
  stoppedAtMs = 0;
  wentOnAtMs = Number.NaN;
  /** How many charges it has settled without hearing that they are in the ledger. */
  owed = 0;
  /** How many charges its journal may hold, at its end, that are not known there to be in the ledger. */
  left = 0;
  /** How many charges those before it have left, at most. */
  inherited = 0;
  /** The instance that it is at present, or that speaks for it after its end, and all that it was. */
  instance = '';
  readonly names = new Set<string>();
  readonly parts = new Map<string, Part>();
  /** When the store last answered, and when the last exchange was sent that it has answered. */
  heardMs = Number.NEGATIVE_INFINITY;
  answeredSentMs = Number.NEGATIVE_INFINITY;
  /** What the store said of each user, the last at the end: to this process, or those before it in its slot. */
  readonly #standings = new Map<string, readonly Standing[]>();
  /** How many instances there are, by the same. */
  instances = 1;
  /** What those who had ended before it began owed for certain, and the balances that it goes by do not account for. */
  #owedBefore: readonly HoldFacts[] = [];
  /** What it had leased when it was fenced and has not claimed again, by lease. */
  readonly claims = new Map<string, { readonly amount: number; readonly sinceMs: number }>();

  readonly #time: { readonly nowMs: number };

  readonly #clock: Pick<Clock, 'date'>;

  constructor(
    slot: number,
    number: number,
    dataDir: string,
    time: { readonly nowMs: number },
    clock: Pick<Clock, 'date'>,
  ) {
    this.#time = time;
    this.#clock = clock;
    this.slot = slot;
    this.number = number;
    this.dataDir = dataDir;
  }

  get hasEnded(): boolean {
    return this.state === 'dead' || this.state === 'closed';
  }

  speakAs(instance: string): void {
    this.instance = instance;
    this.names.add(instance);
  }

  stop(nowMs: number): void {
    this.state = 'paused';
    if (this.wentOnAtMs !== nowMs) this.stoppedAtMs = nowMs;
  }

  goOn(nowMs: number): void {
    this.state = 'running';
    this.stoppedMs += nowMs - this.stoppedAtMs;
    this.wentOnAtMs = nowMs;
  }

  /** It knows what the last in its slot has heard. */
  follow(before: Life): void {
    for (const [user, standings] of before.#standings) this.#standings.set(user, standings.slice(-1));
    this.instances = before.instances;
  }

  /** It begins with what those before it owe. */
  inherit(owed: readonly HoldFacts[]): void {
    this.#owedBefore = owed;
    for (const [user, standings] of this.#standings) {
      this.#standings.set(
        user,
        standings.map((standing) => ({ ...standing, owed: this.#owedBeforeBy(user) })),
      );
    }
  }

  /** The store says it to the process itself, or while it hands in what others have left. */
  hearStandings({ leases }: SyncReply): void {
    const heard = new Set(leases.map(({ user }) => user));
    this.#owedBefore = this.#owedBefore.filter(({ user, isPosted }) => !isPosted || !heard.has(user));
    const now = { heardMs: this.#time.nowMs, dateMs: this.#clock.date().getTime() };
    for (const { user, balance, leased } of leases) {
      const earlier = this.standingsSince(user, this.heardMs);
      const standing = { credits: balance, leased, owed: this.#owedBeforeBy(user), ...now };
      this.#standings.set(user, [...earlier, standing]);
    }
  }

  #owedBeforeBy(user: string): number {
    return this.#owedBefore.reduce((sum, hold) => sum + (hold.user === user ? hold.cost : 0), 0);
  }

  /** Whether it has to go by it. Where the time of day has jumped, what is known may be too old, or of tomorrow. */
  isOfToday({ dateMs }: Standing): boolean {
    return Math.abs(this.#clock.date().getTime() - dateMs) < ageMaxMs;
  }

  /** What it knew of a user then, and has heard since. */
  standingsSince(user: string, sinceMs: number): readonly Standing[] {
    const standings = this.#standings.get(user) ?? [];
    return standings.filter((_, index) => (standings[index + 1]?.heardMs ?? Number.POSITIVE_INFINITY) > sinceMs);
  }

  /** Until when it has done all that it had to do. */
  doneUntilMs(nowMs: number): number {
    return this.state === 'paused' || this.wentOnAtMs === nowMs ? this.stoppedAtMs : nowMs;
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
        left: 0,
        amount: 0,
        beyond: 0,
        returned: { atMs: 0, credits: 0 },
        waiting: [],
        againMs: 0,
        no: null,
      };
      this.parts.set(name, part);
    }
    return part;
  }
}
