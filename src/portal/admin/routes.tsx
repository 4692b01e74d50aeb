// The routes as they are configured, in the order in which a call meets them. What opens an upstream is not shown.

import type { VNode } from 'preact';
import type { Route } from '../../config/config.ts';
import { routeName } from '../../config/normalise.ts';
import { costOf } from '../../pricing.ts';
import { countText, numberText, spanText } from '../format.ts';
import type { Page, PageContext } from '../page.ts';
import { Scroll } from '../scroll.tsx';
import { Share } from './share.tsx';

/** What may be called, by whom, and at what cost. */
export async function routes({ config }: PageContext): Promise<Page> {
  const costs = config.routes.map(costOf);
  const dearest = Math.max(1, ...costs);
  const body = (
    <section class="card" aria-labelledby="routes-title">
      <h2 id="routes-title">{countText(config.routes.length, 'route')}, as the configuration has them</h2>
      <p class="muted">The longest path that fits decides, and then the method. What fits no route is answered 404.</p>
      <Scroll label="Routes">
        <table>
          <caption class="hidden">Routes</caption>
          <thead>
            <tr>
              <th scope="col">Path</th>
              <th scope="col">Methods</th>
              <th scope="col" class="number">
                Credits
              </th>
              <th scope="col">
                <span class="hidden">Compared</span>
              </th>
              <th scope="col">Who may call</th>
              <th scope="col">Upstream</th>
              <th scope="col">Limits</th>
            </tr>
          </thead>
          <tbody>
            {inMatchingOrder(config.routes).map((route) => (
              <Row key={route.name} route={route} dearest={dearest} />
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
  return { title: 'Routes', body };
}

/** Longer paths first; of one path those for some methods before those for all, and whole ones before prefixes. */
function inMatchingOrder(routes: readonly Route[]): Route[] {
  const all = (route: Route) => Number(route.methods === null);
  return routes.toSorted(
    (a, b) =>
      b.path.length - a.path.length ||
      (a.path < b.path ? -1 : Number(a.path > b.path)) ||
      all(a) - all(b) ||
      Number(b.exact) - Number(a.exact),
  );
}

function Row({ route, dearest }: { route: Route; dearest: number }): VNode {
  const cost = costOf(route);
  const limits = limitsOf(route);
  return (
    <tr>
      <th scope="row" class="break">
        <code>{route.path}</code>
        {!route.exact && <span class="muted"> and below</span>}
        {route.name !== routeName(route.path, route.methods ?? []) && <div class="muted small">{route.name}</div>}
      </th>
      <td>{route.methods === null ? <span class="muted">all</span> : route.methods.join(', ')}</td>
      <td class="number">{cost === 0 ? 'free' : numberText(cost)}</td>
      <td>{cost > 0 && <Share value={cost} of={dearest} />}</td>
      <td class="break">{callersText(route)}</td>
      <td class="break">{route.upstream}</td>
      <td class="break">{limits.length === 0 ? <span class="muted">none</span> : limits.join('; ')}</td>
    </tr>
  );
}

const credentials = { key: 'API key', bearer: 'access token', session: 'signed in' } as const;

function callersText({ auth, scopes }: Route): string {
  if (auth === 'none') return 'anyone';
  const shown = auth.map((kind) => credentials[kind]).join(', ');
  return scopes.length === 0 ? shown : `${shown}; scopes ${scopes.join(' ')}`;
}

function limitsOf({ maxBodySize, readTimeout }: Route): string[] {
  return [
    ...(maxBodySize === null ? [] : [`body up to ${sizeText(maxBodySize)}`]),
    ...(readTimeout === 0 ? [] : [`silence up to ${spanText(readTimeout / 1000)}`]),
  ];
}

const units = ['B', 'KB', 'MB', 'GB'] as const;

/** `1.5 MB` of bytes, by the units of the configuration. */
function sizeText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${units[power]}`;
}
