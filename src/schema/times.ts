// Times that callers and operators ask for.

import { TollgateError } from '../errors.ts';
import { Type } from './type.ts';

/** A moment in UTC or with an offset, or a day, which begins at midnight UTC. */
export const time = (description: string) =>
  Type.Optional(
    Type.String({ description, pattern: '^[12]\\d{3}-', anyOf: [{ format: 'date-time' }, { format: 'date' }] }),
  );

const usageMs = 30 * 24 * 60 * 60_000;

/** A range of hours, RFC 3339 in UTC: the 30 days before now where nothing is said. */
export function usageRange(asked: { readonly from?: string; readonly to?: string }): { from: string; to: string } {
  const to = momentOf(asked.to) ?? new Date().toISOString();
  return { from: momentOf(asked.from) ?? new Date(Date.parse(to) - usageMs).toISOString(), to };
}

/** What was written, as RFC 3339 in UTC. Throws TG_INPUT_INVALID. */
export function momentOf(written: string | undefined): string | undefined {
  if (written === undefined) return undefined;
  const moment = new Date(written);
  // A leap second fits the format.
  if (Number.isNaN(moment.getTime())) throw new TollgateError('TG_INPUT_INVALID', { input: `${written} is no moment` });
  return moment.toISOString();
}
