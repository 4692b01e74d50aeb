// The metrics, in Prometheus' text format. Labels are route names, status codes and reasons: bounded, and never a user,
// a key or an address. docs/metrics.md describes each one; a test compares the two. Each gauge says how those of several
// processes become one; counters and histograms add up.

import { type Aggregator, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { MeterState } from '../meter/state.ts';

/** What the gauges are read from when somebody asks. */
export interface GaugeSources {
  readonly meterState: () => MeterState;
  /** Credits by which balances and ledger were last seen to differ. */
  readonly ledgerDrift: () => number;
}

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const overheadBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];

export class Metrics {
  readonly registry = new Registry();
  readonly #requests = this.#counter(
    'tollgate_requests_total',
    'Requests answered, by route and status.',
    'route',
    'code',
  );
  readonly #charges = this.#counter('tollgate_charges_total', 'Calls that were charged.', 'route');
  readonly #charged = this.#counter('tollgate_charged_credits_total', 'Credits that calls were charged.', 'route');
  readonly #refusals = this.#counter(
    'tollgate_refusals_total',
    'Answers that the gateway made itself, by error code.',
    'reason',
  );
  readonly #admittedWhileDown = this.#counter(
    'tollgate_admitted_while_down_total',
    'Calls admitted while the store was down.',
  );
  readonly #overdraft = this.#counter(
    'tollgate_overdraft_credits_total',
    'Credits by which charges took balances below zero.',
  );
  readonly #setAside = this.#counter(
    'tollgate_charges_set_aside_total',
    'Charges that the database does not take, set aside for people to look into.',
  );
  readonly #upstream = this.#histogram(
    'tollgate_upstream_seconds',
    'From forwarding a call to the header of its answer.',
    secondsBuckets,
    'route',
  );
  readonly #overhead = this.#histogram(
    'tollgate_overhead_seconds',
    'From receiving a call to forwarding it: matching, identifying, holding credits.',
    overheadBuckets,
    'route',
  );
  readonly #syncSeconds = this.#histogram('tollgate_sync_seconds', 'One exchange with the store.', secondsBuckets);
  readonly #syncCharges = this.#histogram(
    'tollgate_sync_charges',
    'Charges in one exchange with the store.',
    [0, 1, 5, 10, 50, 100, 250, 500, 1000],
  );

  constructor(sources: GaugeSources) {
    const ofMeter = (name: string, help: string, aggregator: Aggregator, read: (state: MeterState) => number) =>
      this.#gauge(name, help, aggregator, () => read(sources.meterState()));
    ofMeter('tollgate_holds_open', 'Calls in flight that hold credits.', 'sum', (state) => state.holdsOpen);
    ofMeter('tollgate_hold_oldest_seconds', 'Age of the oldest hold.', 'max', (state) => state.oldestHoldSeconds);
    ofMeter('tollgate_leased_credits', 'Credits reserved in the store.', 'sum', (state) => state.leasedCredits);
    ofMeter(
      'tollgate_journal_charges',
      'Charges that the store has not acknowledged yet.',
      'sum',
      (state) => state.unsentCharges,
    );
    ofMeter(
      'tollgate_journal_oldest_seconds',
      'Age of the oldest of them.',
      'max',
      (state) => state.oldestUnsentSeconds,
    );
    ofMeter('tollgate_store_up', '1 while the store answers, else 0.', 'min', (state) => (state.isStoreUp ? 1 : 0));
    this.#gauge(
      'tollgate_ledger_drift',
      'Credits by which balances differ from the sum of their ledger.',
      'max',
      sources.ledgerDrift,
    );
  }

  requestEnded(route: string, code: number): void {
    this.#requests.inc({ route, code });
  }

  callForwarded(route: string, overheadSeconds: number): void {
    this.#overhead.observe({ route }, overheadSeconds);
  }

  upstreamAnswered(route: string, seconds: number): void {
    this.#upstream.observe({ route }, seconds);
  }

  charged(route: string, credits: number): void {
    this.#charges.inc({ route });
    this.#charged.inc({ route }, credits);
  }

  refused(reason: string): void {
    this.#refusals.inc({ reason });
  }

  admittedWhileDown(): void {
    this.#admittedWhileDown.inc();
  }

  overdrawn(credits: number): void {
    this.#overdraft.inc(credits);
  }

  setAside(): void {
    this.#setAside.inc();
  }

  synced(seconds: number, charges: number): void {
    this.#syncSeconds.observe(seconds);
    this.#syncCharges.observe(charges);
  }

  #counter<T extends string>(name: string, help: string, ...labelNames: T[]): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<T extends string>(name: string, help: string, buckets: number[], ...labelNames: T[]): Histogram<T> {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.registry] });
  }

  #gauge(name: string, help: string, aggregator: Aggregator, read: () => number): void {
    const collect = function (this: Gauge): void {
      this.set(read());
    };
    this.registry.registerMetric(new Gauge({ name, help, aggregator, registers: [], collect }));
  }
}
