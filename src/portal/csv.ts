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

/** All entries of a user that the filter asks for, the newest first. */
export function ledgerCsv(db: Db, userId: string, filter: LedgerFilter): Readable {
  const csv = stringify({
    header: true,
    columns: columns.map(([key, header]) => ({ key, header })),
    record_delimiter: 'windows',
    escape_formulas: true,
    cast: { number: (value) => ({ value: String(value), escape_formulas: false }) },
  });
  const entries = Readable.from(allEntries(db, userId, filter));
  entries.once('error', (error) => csv.destroy(error));
  csv.once('close', () => entries.destroy());
  return entries.pipe(csv);
}

async function* allEntries(db: Db, userId: string, filter: LedgerFilter): AsyncGenerator<LedgerEntry> {
  const page = { ...ledgerPageOf(filter), limit: pageLength };
  for (;;) {
    const { entries, next } = await listLedger(db, userId, page);
    yield* entries;
    if (next === null) return;
    page.before = next;
    // SQLite answers within the turn: without this, calls would wait for the end.
    await setImmediate();
  }
}
