// What a call costs: pure, from the route and (once there are any) the facts that its price depends on.

import type { Route } from './config/config.ts';

/** Credits that one call on the route takes when it is charged; 0 for a public route. */
export function costOf(route: Pick<Route, 'auth' | 'cost'>): number {
  return route.auth === 'none' ? 0 : route.cost;
}
