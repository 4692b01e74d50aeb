import { readFileSync } from 'node:fs';
import t from 'tap';
import { Metrics } from '../../src/observability/metrics.ts';
import { tableRows } from '../helpers/markdown.ts';

/** The names of the public contract: dashboards and alerts stand on them. */
const contract = [
  'tollgate_requests_total{route,code}',
  'tollgate_charges_total{route}',
  'tollgate_charged_credits_total{route}',
  'tollgate_refusals_total{reason}',
  'tollgate_upstream_seconds{route}',
  'tollgate_overhead_seconds{route}',
  'tollgate_holds_open',
  'tollgate_hold_oldest_seconds',
  'tollgate_leased_credits',
  'tollgate_sync_seconds',
  'tollgate_sync_charges',
  'tollgate_journal_charges',
  'tollgate_journal_oldest_seconds',
  'tollgate_store_up',
  'tollgate_admitted_while_down_total',
  'tollgate_overdraft_credits_total',
  'tollgate_charges_set_aside_total',
  'tollgate_ledger_drift',
];

const meterState = {
  instance: 'i',
  isStoreUp: true,
  isStoreUnusable: false,
  holdsOpen: 1,
  oldestHoldSeconds: 2,
  leasedCredits: 3,
  unsentCharges: 4,
  oldestUnsentSeconds: 5,
  journalFault: null,
  secondsSinceSync: null,
};

/** Name with labels → type, of everything that is exported once each thing has happened. */
async function exported(): Promise<Map<string, string>> {
  const metrics = new Metrics({ meterState: () => meterState, ledgerDrift: () => 6 });
  metrics.requestEnded('api', 200);
  metrics.callForwarded('api', 0.001);
  metrics.upstreamAnswered('api', 0.1);
  metrics.charged('api', 7);
  metrics.refused('TG_INTERNAL');
  metrics.admittedWhileDown();
  metrics.overdrawn(1);
  metrics.synced(0.01, 2);
  const all = new Map<string, string>();
  // Its types call `type` a number; it is the name of the type.
  for (const { name, type, values } of await metrics.registry.getMetricsAsJSON()) {
    const labels = Object.keys(values.at(-1)?.labels ?? { 'never set': '' }).filter((label) => label !== 'le');
    all.set(withLabels(name, labels), String(type));
  }
  return all;
}

function withLabels(name: string, labels: readonly string[]): string {
  return labels.length === 0 ? name : `${name}{${labels.join(',')}}`;
}

const rows = tableRows(readFileSync('docs/metrics.md', 'utf8'));
const codeIn = (cell: string | undefined) => [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);

t.test('the metrics are those of the contract, with their labels', async (t) => {
  t.same([...(await exported()).keys()].sort(), [...contract].sort());
});

t.test('docs/metrics.md has every metric with its type and labels, and no other', async (t) => {
  const documented = rows.map(([name, type, labels]) => [withLabels(codeIn(name).join(), codeIn(labels)), type]);
  t.same(documented.sort(), [...(await exported())].sort());
});

t.test('docs/metrics.md gives each metric a unit, a meaning and what to alert on', async (t) => {
  for (const [name = '', , , unit = '', meaning = '', alert = '', ...more] of rows) {
    t.match(unit, name.endsWith('_seconds`') ? /^seconds$/ : /^\w[\w ]*$/, `${name} has a unit`);
    t.match(meaning, /^\w.{15,}\.$/, `${name} has a meaning`);
    t.match(alert, /^(?:–|\w.+)$/, `${name} has an alert, or a dash`);
    t.same(more, []);
  }
});

t.test('the gauges are read from the meter when somebody asks', async (t) => {
  let isStoreUp = true;
  const metrics = new Metrics({ meterState: () => ({ ...meterState, isStoreUp }), ledgerDrift: () => 6 });
  const first = await metrics.registry.metrics();
  for (const line of [
    'tollgate_holds_open 1',
    'tollgate_hold_oldest_seconds 2',
    'tollgate_leased_credits 3',
    'tollgate_journal_charges 4',
    'tollgate_journal_oldest_seconds 5',
    'tollgate_store_up 1',
    'tollgate_ledger_drift 6',
  ]) {
    t.ok(first.split('\n').includes(line), line);
  }
  isStoreUp = false;
  t.match(await metrics.registry.metrics(), /^tollgate_store_up 0$/m);
});
