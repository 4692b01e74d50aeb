// Which entries of a ledger are asked for, as the API and the pages take it in their queries.

import { momentOf, time } from './times.ts';
import { type Static, Type } from './type.ts';

/** Why credits have moved, as the ledger names it. */
export const ledgerKinds = ['signup', 'charge', 'grant', 'topup', 'refund', 'adjustment'] as const;

const entryIdPattern = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';

/** Members of a query. */
export const ledgerFilter = {
  cursor: Type.Optional(Type.String({ pattern: entryIdPattern })),
  kind: Type.Optional(Type.Enum([...ledgerKinds])),
  route: Type.Optional(Type.String({ maxLength: 256, pattern: '^[ -~]+$' })),
  key: Type.Optional(Type.String({ maxLength: 64, pattern: '^\\w+$', description: 'The id of a key.' })),
  from: time('Booked then or later.'),
  to: time('Booked before.'),
};

const query = Type.Object(ledgerFilter);
export type LedgerFilter = Static<typeof query>;

/** The same as the store asks for it. Throws TG_INPUT_INVALID where a time is none. */
export function ledgerPageOf({ cursor: before, kind, route, key: keyId, from, to }: LedgerFilter) {
  return { before, kind, route, keyId, from: momentOf(from), to: momentOf(to) };
}

/** Whether a text may be the id of an entry. */
export function isEntryId(text: string): boolean {
  return new RegExp(entryIdPattern).test(text);
}
