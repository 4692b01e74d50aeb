// What the meter is told to do in an outage, and who hears of what it does: metrics, log, and whoever remembers callers.

import type { Logger } from 'pino';
import { type Fallback, openFallback, type Place } from '../fallback/fallback.ts';
import type { LastKnown } from '../fallback/last-known.ts';
import type { Callers } from '../identity/callers.ts';
import type { MeterObserver } from '../meter/meter.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Database } from '../store/database.ts';

/** How calls are served in an outage: by what is known, which is kept in the folder of this process. */
export function serving(known: LastKnown, db: Database['db'], log: Logger) {
  let fallback: Fallback | null = null;
  return {
    whenDown: 'serve' as const,
    known,
    keep: async (place: Place) => {
      fallback = await openFallback({ known, db, log, ...place });
      return fallback;
    },
    doubt: () => fallback?.doubt(),
  };
}

/** Charges are counted, refusals logged; what changes is forgotten. */
export function meterObserver(
  metrics: Metrics,
  callers: Callers,
  served: ReturnType<typeof serving> | null,
  log: Logger,
): MeterObserver {
  return {
    charged: ({ cost, route }) => metrics.charged(route, cost),
    refused: ({ userId: user, keyId: key }, { route, cost, requestId }, code, balance) =>
      log.info({ requestId, user, key, route, error: code, cost, balance }, 'refusal'),
    admittedWhileDown: () => metrics.admittedWhileDown(),
    synced: (seconds, charges) => metrics.synced(seconds, charges),
    overdrawn: (credits) => metrics.overdrawn(credits),
    setAside: () => metrics.setAside(),
    changed: (changes) => {
      callers.forget(changes);
      served?.known.forget(changes);
    },
    silent: () => {
      callers.forgetAll();
      served?.doubt();
    },
  };
}
