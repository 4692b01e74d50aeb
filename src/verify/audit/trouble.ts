// When a gateway had trouble, and how long it may have needed afterwards until all was as before.

import type { Records } from '../stage/records.ts';

/** After trouble, gateways need a while to talk to the database again and give back what failed calls held. */
export const settlesWithinMs = 3_000;

/** When the last trouble that a gateway had in this time was over and settled. A lock on a row delays everybody a little. */
export function troubleAt(records: Records, gateway: string, fromMs: number, toMs: number): number {
  const locks = records.faults.filter(
    ({ kind, startedAtMs, endedAtMs }) =>
      kind === 'lock' && startedAtMs <= toMs && endedAtMs + settlesWithinMs >= fromMs,
  );
  const faults = [...locks, ...records.faultsOf(gateway, fromMs, toMs, settlesWithinMs)];
  return faults.reduce((latest, { endedAtMs }) => Math.max(latest, endedAtMs + settlesWithinMs), toMs);
}
