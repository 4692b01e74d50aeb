import { readFileSync } from 'node:fs';
import t from 'tap';
import { tableRows } from '../helpers/markdown.ts';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly definition?: string;
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
}

interface Use {
  readonly name: string;
  readonly suffix: string | undefined;
  readonly isRate: boolean;
  readonly labels: readonly string[];
}

const dashboard = JSON.parse(readFileSync('config/grafana-dashboard.json', 'utf8')) as Dashboard;
const { panels, templating } = dashboard;
const targets = panels.flatMap((panel) => panel.targets ?? []);
/** Name → type and labels. That the page has what the gateway exports is the promise of metrics.test.ts. */
const documented = new Map(
  tableRows(readFileSync('docs/metrics.md', 'utf8')).map(([name = '', type, labels = '']) => [
    name.replaceAll('`', ''),
    { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label) },
  ]),
);

t.test('every metric is on the dashboard, and no other', async (t) => {
  const used = new Set(targets.flatMap(({ expr }) => usesIn(expr)).map(({ name }) => name));
  t.ok(documented.size > 0);
  t.same([...used].sort(), [...documented.keys()].sort());
});

t.test('the dashboard asks each metric for what its type and its labels can tell', async (t) => {
  for (const { expr, legendFormat } of targets) {
    for (const { name, suffix, isRate, labels } of usesIn(expr)) {
      const { type, labels: own = [] } = documented.get(name) ?? {};
      t.equal(suffix, type === 'histogram' ? 'bucket' : undefined, expr);
      t.equal(isRate, type !== 'gauge', expr);
      // Prometheus itself adds the instance; `le` is a histogram's bound.
      const known = [...own, 'instance', ...(type === 'histogram' ? ['le'] : [])];
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
      for (const label of [...labels, ...shown]) t.ok(known.includes(label), `${name} has ${label}`);
    }
  }
});

t.test('the variables of the dashboard are there, and read from metrics that have them', async (t) => {
  const names = templating.list.map(({ name }) => name);
  const used = [...JSON.stringify(dashboard).matchAll(/\$\{?(?!__)(\w+)/g)].map(([, name = '']) => name);
  t.same([...new Set(used)].sort(), names.sort());
  for (const { definition } of templating.list.filter(({ type }) => type === 'query')) {
    const [, metric = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(definition ?? '') ?? [];
    t.ok(
      label === 'instance' ? documented.has(metric) : documented.get(metric)?.labels.includes(label),
      definition ?? '',
    );
  }
});

t.test('the panels of the dashboard stand side by side', async (t) => {
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  t.equal(new Set(cells).size, cells.length, 'none covers another');
  t.ok(
    panels.every(({ gridPos: { x, w } }) => x + w <= 24),
    'all within the 24 columns',
  );
  for (const { type, title, datasource } of panels) {
    t.equal(datasource?.uid, type === 'row' ? undefined : `\${DS_PROMETHEUS}`, title);
  }
});

/** The metrics in an expression, each with the labels that it is chosen or summed by. */
function usesIn(expr: string): Use[] {
  const summedBy = [...expr.matchAll(/ by \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(', '));
  const metric =
    /(?<rate>(?:rate|increase)\()?\b(?<name>tollgate_\w+?)(?:_(?<suffix>bucket|sum|count))?\{(?<matchers>[^}]*)\}/g;
  return [...expr.matchAll(metric)].map(({ groups = {} }) => ({
    name: groups['name'] ?? '',
    suffix: groups['suffix'],
    isRate: groups['rate'] !== undefined,
    labels: [...summedBy, ...[...(groups['matchers'] ?? '').matchAll(/(\w+)=/g)].map(([, label = '']) => label)],
  }));
}
