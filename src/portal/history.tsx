// The ledger, page by page: by kind, route, key and time, the newest first.

import type { VNode } from 'preact';
import { type LedgerFilter, ledgerKinds, ledgerPageOf } from '../schema/ledger-filter.ts';
import type { Db } from '../store/database.ts';
import { type LedgerEntry, listLedger } from '../store/history.ts';
import { type ApiKey, listKeys } from '../store/keys.ts';
import { Entries, kindName } from './entries.tsx';
import { queryText } from './format.ts';
import type { Page, PageContext } from './page.ts';

const pageLength = 50;

/** What happened to one's own credits. */
export async function history({ db, base, visitor, query, config }: PageContext<LedgerFilter>): Promise<Page> {
  const place = { path: `${base}/history`, csv: `${base}/history.csv` };
  const routes = config.routes.map(({ name }) => name);
  return { title: 'History', body: await historyOf(db, visitor.id, { query, place, routes }) };
}

export interface HistoryTerms {
  readonly query: LedgerFilter;
  /** The page itself, below which the receipts are, and the file of all of it, if there is one. */
  readonly place: { readonly path: string; readonly csv: string | null };
  /** Names of routes to choose from. */
  readonly routes: readonly string[];
}

/** The entries of one user that the query asks for, and what to ask for with. */
export async function historyOf(db: Db, userId: string, { query, place, routes }: HistoryTerms): Promise<VNode> {
  const [{ entries, next }, keys] = await Promise.all([firstFound(db, userId, query), listKeys(db, userId)]);
  const { cursor, ...filter } = query;
  return (
    <>
      <section class="card" aria-labelledby="filter-title">
        <h2 id="filter-title" class="hidden">
          Which entries
        </h2>
        <Filter filter={filter} path={place.path} routes={routes} keys={keys} />
      </section>
      <section class="card" aria-labelledby="entries-title">
        <div class="row">
          <h2 id="entries-title">{cursor === undefined ? 'Newest first' : 'Older entries'}</h2>
          {place.csv !== null && (
            <a href={place.csv + queryText(filter)} download>
              All of these as CSV
            </a>
          )}
        </div>
        {entries.length > 0 ? (
          <Entries entries={entries} receipts={place.path} caption="Ledger entries" />
        ) : (
          <p class="empty">{emptyText(next, Object.keys(filter).length > 0)}</p>
        )}
        <Steps path={place.path} filter={filter} isFirst={cursor === undefined} next={next} />
      </section>
    </>
  );
}

/** So many pages are looked through for one that has something. */
const emptyPagesMax = 10;

/** A filter may find nothing among the entries that one page looks at. */
async function firstFound(db: Db, userId: string, query: LedgerFilter) {
  const page = { ...ledgerPageOf(query), limit: pageLength };
  let found = await listLedger(db, userId, page);
  for (let i = 1; i < emptyPagesMax && found.entries.length === 0 && found.next !== null; i++) {
    found = await listLedger(db, userId, { ...page, before: found.next });
  }
  return found;
}

function emptyText(next: string | null, isFiltered: boolean): string {
  if (next !== null) return 'None of these among the entries looked at so far.';
  return isFiltered ? 'There are no such entries.' : 'There are no entries yet.';
}

interface FilterProps {
  readonly filter: LedgerFilter;
  readonly path: string;
  readonly routes: readonly string[];
  readonly keys: readonly ApiKey[];
}

function Filter({ filter: { kind, route, key, from, to }, path, routes, keys }: FilterProps): VNode {
  // Routes that are configured no more have entries still.
  const names = route === undefined || routes.includes(route) ? routes : [...routes, route];
  return (
    <form method="get" action={path} class="fields">
      <Choice label="What" name="kind" chosen={kind} options={ledgerKinds.map((each) => [each, kindName(each)])} />
      <Choice label="Route" name="route" chosen={route} options={names.map((name) => [name, name])} />
      <Choice
        label="Key"
        name="key"
        chosen={key}
        options={keys.map(({ id, name, hint }) => [id, `${name} (${hint}…)`])}
      />
      <label>
        From
        <input type="date" name="from" value={from?.slice(0, 10)} />
      </label>
      <label>
        Before
        <input type="date" name="to" value={to?.slice(0, 10)} />
      </label>
      <button type="submit">Show</button>
      <a class="button quiet" href={path}>
        All
      </a>
    </form>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly name: string;
  readonly chosen: string | undefined;
  readonly options: readonly (readonly [value: string, label: string])[];
}

function Choice({ label, name, chosen = '', options }: ChoiceProps): VNode {
  return (
    <label>
      {label}
      <select name={name} value={chosen}>
        <option value="">Any</option>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

interface StepsProps {
  readonly path: string;
  readonly filter: LedgerFilter;
  readonly isFirst: boolean;
  readonly next: LedgerEntry['id'] | null;
}

function Steps({ path, filter, isFirst, next }: StepsProps): VNode {
  return (
    <p class="actions">
      {!isFirst && (
        <a class="button quiet" href={path + queryText(filter)}>
          Newest
        </a>
      )}
      {next !== null && (
        <a class="button quiet" href={path + queryText({ ...filter, cursor: next })} rel="next">
          Older
        </a>
      )}
    </p>
  );
}
