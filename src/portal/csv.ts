// The ledger as a file for spreadsheets: as it is read from the database, however long it is. Texts that a spreadsheet would
// take for formulas are made harmless; numbers are numbers.

import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { stringify } from 'csv-stringify';
import { type LedgerFilter, ledgerPageOf } from '../schema/ledger-filter.ts';
import type { Db } from '../store/database.ts';
import { type LedgerEntry, listLedger } from '../store/history.ts';

const columns = [
  ['id', 'id'],
  ['createdAt', 'created_at'],
  ['kind', 'kind'],
  ['amount', 'amount'],
  ['route', 'route'],
  ['status', 'status'],
  ['ended', 'ended'],
  ['keyId', 'key_id'],
  ['requestId', 'request_id'],
  ['note', 'note'],
] as const satisfies readonly (readonly [keyof LedgerEntry, string])[];

/** Read at once. */
const pageLength = 500;

/** All entries of a user that the filter asks for, the newest first. Rejects as the store does before there is any of it. */
export async function ledgerCsv(db: Db, userId: string, filter: LedgerFilter): Promise<Readable> {
  const page = { ...ledgerPageOf(filter), limit: pageLength };
  const first = await listLedger(db, userId, page);
  const more = (before: string) => listLedger(db, userId, { ...page, before });
  const csv = stringify({
    header: true,
    columns: columns.map(([key, header]) => ({ key, header })),
    record_delimiter: 'windows',
    escape_formulas: true,
  });
  const entries = Readable.from(allEntries(first, more));
  entries.once('error', (error) => csv.destroy(error));
  csv.once('close', () => entries.destroy());
  return entries.pipe(csv);
}

type LedgerPage = Awaited<ReturnType<typeof listLedger>>;

async function* allEntries(
  first: LedgerPage,
  more: (before: string) => Promise<LedgerPage>,
): AsyncGenerator<LedgerEntry> {
  let page = first;
  for (;;) {
    yield* page.entries;
    if (page.next === null) return;
    // SQLite answers within the turn: without this, calls would wait for the end.
    await setImmediate();
    page = await more(page.next);
  }
}
