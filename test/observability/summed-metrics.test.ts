import t from 'tap';
import { Metrics } from '../../src/observability/metrics.ts';
import { SummedMetrics } from '../../src/observability/summed-metrics.ts';

const state = {
  instance: 'i',
  holdsOpen: 0,
  oldestHoldSeconds: 0,
  leasedCredits: 0,
  unsentCharges: 0,
  journalFault: null,
  secondsSinceSync: null,
  isStoreUnusable: false,
};
const idle = { ...state, oldestUnsentSeconds: 0, isStoreUp: true };

/** Of a process that has charged so many calls, and whose gauges all stand at `gauge`. */
function metricsOf(calls: number, gauge: number, isStoreUp = true): Metrics {
  const told = {
    holdsOpen: gauge,
    oldestHoldSeconds: gauge,
    leasedCredits: gauge,
    unsentCharges: gauge,
    journalFault: null,
    secondsSinceSync: null,
    isStoreUnusable: false,
  };
  const meterState = () => ({ instance: 'i', ...told, oldestUnsentSeconds: gauge, isStoreUp });
  const metrics = new Metrics({ meterState, ledgerDrift: () => 0 });
  for (let i = 0; i < calls; i++) {
    metrics.charged('/', 7);
    metrics.requestEnded('/', 200);
    metrics.synced(0.02, 1);
  }
  return metrics;
}

async function openSum() {
  const sum = new SummedMetrics(new Metrics({ meterState: () => idle, ledgerDrift: () => 6 }).registry);
  const tell = async (process: number, metrics: Metrics) =>
    sum.told(process, await metrics.registry.getMetricsAsJSON());
  const lines = async () => (await (await sum.registry()).metrics()).split('\n').filter((line) => !/^#|^$/.test(line));
  return { sum, tell, lines };
}

t.test(
  'counts and amounts of several processes add up; ages are the highest, the store is up when it is for all',
  async (t) => {
    const { tell, lines } = await openSum();
    await tell(1, metricsOf(2, 3));
    await tell(2, metricsOf(3, 4, false));
    const told = await lines();
    for (const line of [
      'tollgate_requests_total{route="/",code="200"} 5',
      'tollgate_charges_total{route="/"} 5',
      'tollgate_charged_credits_total{route="/"} 35',
      'tollgate_sync_seconds_count 5',
      'tollgate_sync_charges_bucket{le="1"} 5',
      'tollgate_sync_charges_bucket{le="0"} 0',
      'tollgate_holds_open 7',
      'tollgate_leased_credits 7',
      'tollgate_journal_charges 7',
      'tollgate_hold_oldest_seconds 4',
      'tollgate_journal_oldest_seconds 4',
      'tollgate_store_up 0',
      'tollgate_ledger_drift 6',
    ]) {
      t.ok(told.includes(line), line);
    }
  },
);

t.test('what a process that has ended had counted stays, and what it held does not', async (t) => {
  const { sum, tell, lines } = await openSum();
  await tell(1, metricsOf(2, 3));
  await tell(2, metricsOf(3, 4));
  await tell(3, metricsOf(5, 5));
  const endings = Promise.all([sum.ended(1), sum.ended(2), sum.ended(4)]);
  t.ok((await lines()).includes('tollgate_charges_total{route="/"} 10'), 'while it is being added up');
  await endings;
  await tell(5, metricsOf(1, 0));
  const told = await lines();
  t.ok(told.includes('tollgate_charges_total{route="/"} 11'), 'two, three, five, and one');
  t.ok(told.includes('tollgate_sync_charges_bucket{le="1"} 11'));
  t.ok(told.includes('tollgate_holds_open 5'), 'those of the dead are over');
  await sum.ended(3);
  await sum.ended(5);
  t.ok((await lines()).includes('tollgate_charges_total{route="/"} 11'));
});

t.test('every metric is there before any process has told its own', async (t) => {
  const { lines } = await openSum();
  t.ok((await lines()).includes('tollgate_overdraft_credits_total 0'));
  t.ok((await lines()).includes('tollgate_holds_open 0'));
});
