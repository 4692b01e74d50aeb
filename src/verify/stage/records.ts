// What a run remembers, from three sides that know nothing of each other: what callers got, what the upstream did, and
// what was done to gateways, database and balances. The auditor joins them with the ledger, by the request id.

import type { HandEdit, Standing } from '../../store/proof.ts';

/** One call, as its caller saw it. Times are performance.now(), ms. */
export interface CallRecord {
  /** X-Request-Id. */
  readonly id: string;
  readonly user: string;
  readonly key: string;
  readonly gateway: string;
  readonly route: string;
  readonly cost: number;
  readonly startedAtMs: number;
  endedAtMs: number;
  /**
   * `left`: the caller went away as planned; `broken`: the connection ended under it; `refused`: there was none to be had;
   * `hung`: it gave up at last.
   */
  end: 'open' | 'whole' | 'left' | 'broken' | 'refused' | 'hung';
  status: number | null;
  /** X-Tollgate-Error of an answer that the gateway made itself. */
  code: string | null;
  hasRetryAfter: boolean;
  /** X-Credits-Cost. */
  costSaid: number | null;
}

/** The same call at the upstream. */
export interface ServedRecord {
  status: number | null;
  /** `left`: the gateway went away before the answer was whole; `died`: this upstream broke it off, as planned. */
  end: 'open' | 'whole' | 'left' | 'died';
  endedAtMs: number;
  /** How often it arrived. */
  times: number;
}

/** What is done to the machinery. Those of the server itself need somebody who may stop it. */
export const faultKinds = {
  kill: 'a gateway killed (kill -9) and started again',
  terminate: 'a gateway told to stop (SIGTERM) and started again',
  pause: 'a gateway stopped for a while (SIGSTOP, SIGCONT)',
  cut: 'connections to the database cut',
  refuse: 'the database refusing connections',
  silence: 'the database gone silent (connections open, no answer)',
  lock: 'a transaction keeping the row of a user locked',
  'server-stop': 'PostgreSQL stopped and started again',
  'server-kill': 'PostgreSQL killed (kill -9) and started again',
} as const;
export type FaultKind = keyof typeof faultKinds;

export interface FaultRecord {
  readonly kind: FaultKind;
  /** Names of the gateways that it hit. */
  readonly gateways: readonly string[];
  readonly startedAtMs: number;
  /** Infinite while it lasts. */
  endedAtMs: number;
  /** The books just before and just after it began: what was promised to whom. */
  readonly standings: Standing[][];
  /** For the gateways it hit, by their names: the instances that they were then. */
  readonly instances: Readonly<Record<string, string>>;
}

/** Credits that came by an operator. Null while nobody knows whether it was committed. */
export interface GrantRecord {
  readonly user: string;
  readonly amount: number;
  readonly key: string;
  committedAtMs: number | null;
}

/** An `UPDATE users SET credits`. If it came to pass, then at some time between `startedAtMs` and `knownAtMs`. */
export interface EditRecord {
  readonly user: string;
  readonly startedAtMs: number;
  /** When its answer came or, where that was lost, the answer to whether it came to pass. */
  knownAtMs: number;
  /** Its answer was lost. */
  wasCutOff: boolean;
  /** Null: it did not come to pass. */
  met: HandEdit | null;
}

export interface RevocationRecord {
  readonly key: string;
  committedAtMs: number;
}

/** A gateway that was told to stop, and ended with something else than exit code 0. */
export interface BadExit {
  readonly gateway: string;
  /** Exit code or signal. */
  readonly how: string;
  readonly toldAtMs: number;
  readonly endedAtMs: number;
}

/** All of it. */
export class Records {
  readonly calls: CallRecord[] = [];
  readonly served = new Map<string, ServedRecord>();
  readonly faults: FaultRecord[] = [];
  readonly grants: GrantRecord[] = [];
  readonly edits: EditRecord[] = [];
  readonly revocations: RevocationRecord[] = [];
  /** Gateways that ended or failed to start without being told to, in words. */
  readonly deaths: string[] = [];
  /** Gateways that did not end with 0 when they were told to stop. */
  readonly badExits: BadExit[] = [];
  /** How long each start took until the gateway took calls, ms. */
  readonly startsMs: number[] = [];
  /** What looking at the books during the run has found wrong, in words. */
  readonly sights: string[] = [];
  looks = 0;
  /** The lowest balance that was seen of a user. */
  readonly lowest = new Map<string, number>();

  /** The faults that hit a gateway at some time in [fromMs, toMs], each lasting `afterMs` longer than it did. */
  faultsOf(gateway: string, fromMs: number, toMs: number, afterMs = 0): FaultRecord[] {
    return this.faults.filter(
      ({ gateways, startedAtMs, endedAtMs }) =>
        gateways.includes(gateway) && startedAtMs <= toMs && endedAtMs + afterMs >= fromMs,
    );
  }
}
