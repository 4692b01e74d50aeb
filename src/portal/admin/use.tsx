// What everybody uses: over time, by route with what failed, and by whom.

import type { VNode } from 'preact';
import type { Db } from '../../store/database.ts';
import { sumUsage, sumUsageOverTime, type Usage } from '../../store/history.ts';
import { listUsersWithIds } from '../../store/users.ts';
import { UseChart } from '../chart.tsx';
import { lastDays, lastHours } from '../days.ts';
import { countText, dayText, hourText, numberText, queryText } from '../format.ts';
import type { Page, PageContext } from '../page.ts';
import { Scroll } from '../scroll.tsx';
import { Share } from './share.tsx';

const ranges = {
  '24h': { label: '24 hours', bucket: 'hour', buckets: lastHours, count: 24, labelOf: hourText },
  '7d': { label: '7 days', bucket: 'day', buckets: lastDays, count: 7, labelOf: dayText },
  '30d': { label: '30 days', bucket: 'day', buckets: lastDays, count: 30, labelOf: dayText },
} as const;

/** Enough for a thousand routes in each bucket. */
const rowsMax = 30_000;
const routesMax = 1_000;
const usersShown = 10;
/** Who calls most is told of as many days: there is a row for each user and day. */
const usersDays = 7;

/** Totals, a chart, routes and top users of one range. */
export async function use({ db, base, query }: PageContext): Promise<Page> {
  const chosen = query['range'] as keyof typeof ranges;
  const { label, bucket, buckets, count, labelOf } = ranges[chosen];
  const nowMs = Date.now();
  const { starts, ...range } = buckets(count, nowMs);
  const { from: week } = lastDays(usersDays, nowMs);
  const [overTime, byRoute, byUser] = await Promise.all([
    sumUsageOverTime(db, { bucket, isByRoute: true, ...range, limit: rowsMax }),
    sumUsage(db, { by: 'route', ...range, limit: routesMax }),
    topUsers(db, { ...range, from: chosen === '30d' ? week : range.from }),
  ]);
  const body = (
    <>
      <Ranges path={`${base}/admin/use`} chosen={chosen} />
      <div id="totals" data-live>
        <Totals routes={byRoute} />
      </div>
      <section class="card" aria-labelledby="use-title">
        <h2 id="use-title">{`Credits charged in ${label}`}</h2>
        <div id="use" data-live>
          <UseChart
            id="use-table"
            unit="credits"
            starts={starts}
            labelOf={labelOf}
            amounts={overTime.map(({ start, route, charged }) => ({ start, route: route ?? '', value: charged }))}
            caption={`Credits charged in each ${bucket} of the last ${label}, by route`}
          />
        </div>
      </section>
      <section class="card" aria-labelledby="routes-title">
        <h2 id="routes-title">Routes</h2>
        <p class="muted">Calls that fail cost nothing. Refused are those for which the credits did not last.</p>
        <div id="routes" data-live>
          <Routes routes={byRoute} />
        </div>
      </section>
      <section class="card" aria-labelledby="top-title">
        <h2 id="top-title">{chosen === '30d' ? `Who calls most, in the last ${usersDays} days` : 'Who calls most'}</h2>
        <div id="top" data-live>
          <TopUsers users={byUser} path={`${base}/admin/users`} />
        </div>
      </section>
    </>
  );
  return { title: 'Use', body };
}

interface UserTotals extends Usage {
  readonly name: string;
}

async function topUsers(db: Db, range: { readonly from: string; readonly to: string }): Promise<UserTotals[]> {
  const found = await sumUsage(db, { by: 'user', ...range, limit: usersShown });
  if (found.length === 0) return [];
  const users = await listUsersWithIds(
    db,
    found.map(({ key }) => key),
  );
  const names = new Map(users.map(({ id, email, name }) => [id, email ?? name]));
  return found.map((usage) => ({ ...usage, name: names.get(usage.key) ?? usage.key }));
}

function Ranges({ path, chosen }: { path: string; chosen: keyof typeof ranges }): VNode {
  return (
    <nav class="ranges" aria-label="Range">
      <ul>
        {Object.entries(ranges).map(([range, { label }]) => (
          <li key={range}>
            <a href={path + queryText({ range })} aria-current={range === chosen ? 'true' : undefined}>
              {label}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Totals({ routes }: { routes: readonly Usage[] }): VNode {
  const sum = (kind: 'calls' | 'charged' | 'failed' | 'refused') =>
    routes.reduce((total, route) => total + route[kind], 0);
  return (
    <dl class="tiles">
      <Tile label="Calls succeeded" value={sum('calls')} />
      <Tile label="Credits charged" value={sum('charged')} />
      <Tile label="Calls failed" value={sum('failed')} isBad />
      <Tile label="Calls refused" value={sum('refused')} isBad />
    </dl>
  );
}

function Tile({ label, value, isBad = false }: { label: string; value: number; isBad?: boolean }): VNode {
  return (
    <div class="card">
      <dt class="muted">{label}</dt>
      <dd class={isBad && value > 0 ? 'figure bad' : 'figure'}>{numberText(value)}</dd>
    </div>
  );
}

function Routes({ routes }: { routes: readonly Usage[] }): VNode {
  if (routes.length === 0) return <p class="muted empty">Nothing was called in this time.</p>;
  const most = Math.max(...routes.map(({ charged }) => charged));
  return (
    <Scroll label="Routes">
      <table>
        <caption class="hidden">Routes by calls</caption>
        <thead>
          <tr>
            <th scope="col">Route</th>
            <th scope="col" class="number">
              Credits
            </th>
            <th scope="col">
              <span class="hidden">Compared</span>
            </th>
            <th scope="col" class="number">
              Succeeded
            </th>
            <th scope="col" class="number">
              Failed
            </th>
            <th scope="col" class="number">
              Refused
            </th>
          </tr>
        </thead>
        <tbody>
          {routes.map(({ key, calls, charged, failed, refused }) => (
            <tr key={key}>
              <th scope="row" class="break">
                {key}
              </th>
              <td class="number">{numberText(charged)}</td>
              <td>
                <Share value={charged} of={most} />
              </td>
              <td class="number">{numberText(calls)}</td>
              <td class={failed > 0 ? 'number bad' : 'number'}>{failedText(failed, calls)}</td>
              <td class={refused > 0 ? 'number bad' : 'number'}>{numberText(refused)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** How many, and what part of all that reached the upstream. */
function failedText(failed: number, calls: number): string {
  if (failed === 0) return '0';
  const percent = (100 * failed) / (failed + calls);
  return `${numberText(failed)} (${percent < 1 ? '<1' : Math.round(percent)} %)`;
}

function TopUsers({ users, path }: { users: readonly UserTotals[]; path: string }): VNode {
  if (users.length === 0) return <p class="muted empty">Nobody has called in this time.</p>;
  const most = Math.max(...users.map(({ calls }) => calls));
  return (
    <Scroll label="Who calls most">
      <table>
        <caption class="hidden">{countText(users.length, 'user')} by calls</caption>
        <thead>
          <tr>
            <th scope="col">User</th>
            <th scope="col" class="number">
              Succeeded
            </th>
            <th scope="col">
              <span class="hidden">Compared</span>
            </th>
            <th scope="col" class="number">
              Credits
            </th>
            <th scope="col" class="number">
              Failed
            </th>
            <th scope="col" class="number">
              Refused
            </th>
          </tr>
        </thead>
        <tbody>
          {users.map(({ key, name, calls, charged, failed, refused }) => (
            <tr key={key}>
              <th scope="row" class="break">
                <a href={`${path}/${encodeURIComponent(key)}`}>{name}</a>
              </th>
              <td class="number">{numberText(calls)}</td>
              <td>
                <Share value={calls} of={most} />
              </td>
              <td class="number">{numberText(charged)}</td>
              <td class={failed > 0 ? 'number bad' : 'number'}>{numberText(failed)}</td>
              <td class={refused > 0 ? 'number bad' : 'number'}>{numberText(refused)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
