// Everybody who has credits: found, sorted, page by page; and the form that makes a user.

import type { VNode } from 'preact';
import { TollgateError } from '../../errors.ts';
import { findUserPage, type UserQuery } from '../../store/user-pages.ts';
import type { User, UserOrder } from '../../store/users.ts';
import { numberText, queryText, timeText } from '../format.ts';
import type { Page, PageContext } from '../page.ts';
import { Scroll } from '../scroll.tsx';
import { PlanChoice } from './plan-choice.tsx';
import { StandingBadge } from './standing-badge.tsx';

const pageLength = 50;

/** Users, as the query asks for them. Throws TG_INPUT_INVALID for a cursor of another order. */
export async function users({ db, base, query, config, meter }: PageContext): Promise<Page> {
  const asked = query as unknown as Omit<UserQuery, 'limit'>;
  const found = await findUserPage(db, { ...asked, limit: pageLength });
  if (found === null) throw new TollgateError('TG_INPUT_INVALID', { input: 'the cursor is of another order, or none' });
  const shown = found.users.map((user) => ({ ...user, credits: meter.standing(user.id).credits ?? user.credits }));
  const path = `${base}/admin/users`;
  const body = (
    <>
      <section class="card" aria-labelledby="find-title">
        <h2 id="find-title">Find a user</h2>
        <Search path={path} asked={asked} />
        <details id="new-user">
          <summary>Make a user</summary>
          <NewUser base={base} path={path} plans={Object.keys(config.plans)} plan={config.defaultPlan} />
        </details>
      </section>
      <section class="card" aria-label="Who was found">
        <div id="users" data-live>
          {shown.length === 0 ? (
            <p class="muted empty">{emptyText(asked, found.next)}</p>
          ) : (
            <List users={shown} path={path} asked={asked} />
          )}
        </div>
        <Steps path={path} asked={asked} next={found.next} />
      </section>
    </>
  );
  return { title: 'Users', body };
}

type Asked = Omit<UserQuery, 'limit'>;

function emptyText({ search, cursor }: Asked, next: string | null): string {
  if (next !== null) return 'None of these among the users looked at so far.';
  if (cursor !== undefined) return 'There are no more users.';
  return search === undefined ? 'There are no users yet.' : `No id, name or address holds “${search}”.`;
}

function Search({ path, asked: { search, sort, order } }: { path: string; asked: Asked }): VNode {
  return (
    <search>
      <form method="get" action={path} class="fields">
        <label class="grow">
          Id, name or address
          <input type="search" name="search" value={search} maxLength={254} />
        </label>
        <input type="hidden" name="sort" value={sort} />
        <input type="hidden" name="order" value={order} />
        <button type="submit">Search</button>
        {search !== undefined && (
          <a class="button quiet" href={path}>
            All users
          </a>
        )}
      </form>
    </search>
  );
}

interface NewUserProps {
  readonly base: string;
  readonly path: string;
  readonly plans: readonly string[];
  readonly plan: string;
}

function NewUser({ base, path, plans, plan }: NewUserProps): VNode {
  return (
    <form data-method="POST" data-path={`${base}/api/admin/users`} data-then="go" data-to={path}>
      <p class="muted">
        Who signs in needs none of this. Without an address it is a service account, which calls with API keys alone.
      </p>
      <div class="fields">
        <label>
          Address
          <input type="email" name="email" maxLength={254} placeholder="none" />
        </label>
        <label>
          Name
          <input name="name" maxLength={128} placeholder="as the address says" />
        </label>
        <PlanChoice plans={plans} chosen={plan} />
        <button type="submit">Make the user</button>
      </div>
      <p class="fault" role="alert" />
    </form>
  );
}

interface ListProps {
  readonly users: readonly User[];
  readonly path: string;
  readonly asked: Asked;
}

function List({ users, path, asked }: ListProps): VNode {
  return (
    <Scroll label="Users">
      <table>
        <caption class="hidden">Users</caption>
        <thead>
          <tr>
            <SortedBy path={path} asked={asked} by="name" label="Name" />
            <SortedBy path={path} asked={asked} by="credits" label="Credits" />
            <SortedBy path={path} asked={asked} by="email" label="Address" />
            <th scope="col">Plan</th>
            <SortedBy path={path} asked={asked} by="created" label="Since" />
          </tr>
        </thead>
        <tbody>
          {users.map(({ id, name, email, plan, credits, createdAt, blockedAt }) => (
            <tr key={id}>
              <th scope="row" class="break">
                <a href={`${path}/${encodeURIComponent(id)}`}>{name}</a> <StandingBadge blockedAt={blockedAt} />
              </th>
              <td class={credits > 0 ? 'number' : 'number none'}>{numberText(credits)}</td>
              <td class="break">{email ?? <span class="muted">service account</span>}</td>
              <td class="break">{plan}</td>
              <td class="nowrap">
                <time dateTime={createdAt}>{timeText(createdAt).slice(0, 10)}</time>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

interface SortedByProps {
  readonly path: string;
  readonly asked: Asked;
  readonly by: UserOrder;
  readonly label: string;
}

/** The head of a column by which it can be sorted: again, and it is turned around. */
function SortedBy({ path, asked: { search, sort, order }, by, label }: SortedByProps): VNode {
  const isSorted = sort === by;
  const isNumeric = by === 'credits';
  const first = by === 'name' || by === 'email' ? 'asc' : 'desc';
  const next = isSorted ? (order === 'asc' ? 'desc' : 'asc') : first;
  const now = order === 'asc' ? 'ascending' : 'descending';
  return (
    <th scope="col" class={isNumeric ? 'number' : undefined} aria-sort={isSorted ? now : undefined}>
      <a href={path + queryText({ search, sort: by, order: next })}>
        {label}
        {isSorted && <span aria-hidden="true">{order === 'asc' ? ' ↑' : ' ↓'}</span>}
      </a>
    </th>
  );
}

function Steps({ path, asked: { cursor, ...asked }, next }: { path: string; asked: Asked; next: string | null }) {
  if (cursor === undefined && next === null) return null;
  return (
    <p class="actions">
      {cursor !== undefined && (
        <a class="button quiet" href={path + queryText(asked)}>
          First
        </a>
      )}
      {next !== null && (
        <a class="button quiet" href={path + queryText({ ...asked, cursor: next })} rel="next">
          Next
        </a>
      )}
    </p>
  );
}
