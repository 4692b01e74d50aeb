// The ledger of one user and its receipts, as operators see them: with who moved the credits.

import type { LedgerFilter } from '../../schema/ledger-filter.ts';
import { historyOf } from '../history.tsx';
import type { Page, PageContext } from '../page.ts';
import { receiptOf } from '../receipt.tsx';
import { userIn } from './user-in.ts';

/** What happened to the credits of one user. Throws TG_USER_NOT_FOUND. */
export async function userHistory(context: PageContext<LedgerFilter>): Promise<Page> {
  const { db, base, query, config } = context;
  const { id, name } = await userIn(context);
  const path = `${base}/admin/users/${encodeURIComponent(id)}`;
  const routes = config.routes.map((route) => route.name);
  const place = { path: `${path}/history`, csv: null };
  const body = (
    <>
      <p>
        <a href={path}>Back to the user</a>
      </p>
      {await historyOf(db, id, { query, place, routes })}
    </>
  );
  return { title: `History of ${name}`, body };
}

/** One entry of that. Throws TG_USER_NOT_FOUND, TG_ENTRY_NOT_FOUND. */
export async function userReceipt(context: PageContext): Promise<Page> {
  const { db, base, params } = context;
  const { id } = await userIn(context);
  const back = `${base}/admin/users/${encodeURIComponent(id)}/history`;
  return receiptOf(db, id, params['entryId'] ?? '', { back, isForOperators: true });
}
