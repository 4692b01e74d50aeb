// The auditor: reads the ledger page by page and the books at the end, and judges every promise.

import type { Db } from '../../store/database.ts';
import { auditBalances } from '../../store/history.ts';
import { type BookedCharge, bookedChanges, bookedCharges, leftovers, standingsOf } from '../../store/proof.ts';
import type { Player } from '../stage/cast.ts';
import type { Records } from '../stage/records.ts';
import { type FinalBooks, judgeBooks } from './books.ts';
import { judgeCharges } from './charges.ts';
import type { Finding } from './finding.ts';
import { judgeNoCredits } from './no-credits.ts';
import { judgeRefusals } from './refusals.ts';

/** Judges a run whose gateways have stopped. */
export async function audit(
  db: Db,
  records: Records,
  cast: readonly Player[],
  notHandedIn: readonly string[],
): Promise<Finding[]> {
  const booked = new Map<string, BookedCharge[]>();
  let entries = 0;
  for await (const charge of bookedCharges(db)) {
    entries += 1;
    const request = charge.requestId ?? 'none';
    const others = booked.get(request);
    if (others === undefined) booked.set(request, [charge]);
    else others.push(charge);
  }
  const changes = await bookedChanges(db);
  const books: FinalBooks = {
    ...(await balancesOf(db)),
    entries: entries + changes.length,
    changes,
    standings: await standingsOf(db),
    leftover: await leftovers(db),
    notHandedIn,
  };
  return [
    ...judgeCharges(records, booked),
    judgeNoCredits(records, booked, cast),
    ...judgeRefusals(records),
    ...judgeBooks(records, books, cast),
  ];
}

async function balancesOf(db: Db): Promise<{ users: number; differences: string[] }> {
  const differences: string[] = [];
  let users = 0;
  for await (const batch of auditBalances(db)) {
    users += batch.users;
    for (const { userId, credits, ledger } of batch.differences) {
      differences.push(`user ${userId} has ${credits}, the ledger says ${ledger}`);
    }
  }
  return { users, differences };
}
