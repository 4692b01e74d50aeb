// One user, as operators see them: what they have and use, and all that can be done for them.

import type { VNode } from 'preact';
import { getReservedCredits } from '../../store/credits.ts';
import { listLedger, sumUserUsage } from '../../store/history.ts';
import { listKeys } from '../../store/keys.ts';
import type { User } from '../../store/users.ts';
import { BalanceNumber } from '../balance-number.tsx';
import { UseChart } from '../chart.tsx';
import { lastDays } from '../days.ts';
import { Entries } from '../entries.tsx';
import { numberText, timeText } from '../format.ts';
import { Keys, sampleCall } from '../keys.tsx';
import type { Page, PageContext } from '../page.ts';
import { CreditsForm } from './credits-form.tsx';
import { PlanChoice } from './plan-choice.tsx';
import { StandingBadge } from './standing-badge.tsx';
import { userIn } from './user-in.ts';

const chartDays = 30;
const entriesShown = 8;
/** Enough for a hundred routes on each day; beyond that the picture lacks the last days' rarest. */
const rowsMax = 3_000;

/** Credits, use, facts, keys and the last entries of one user. Throws TG_USER_NOT_FOUND. */
export async function user(context: PageContext): Promise<Page> {
  const { db, base, config, meter } = context;
  const found = await userIn(context);
  const { id } = found;
  const nowMs = Date.now();
  const days = lastDays(chartDays, nowMs);
  const [reserved, usage, ledger, keys] = await Promise.all([
    getReservedCredits(db, id),
    sumUserUsage(db, id, { bucket: 'day', isByRoute: true, from: days.from, to: days.to, limit: rowsMax }),
    listLedger(db, id, { limit: entriesShown }),
    listKeys(db, id),
  ]);
  const api = `${base}/api/admin/users/${encodeURIComponent(id)}`;
  const history = `${base}/admin/users/${encodeURIComponent(id)}/history`;
  const body = (
    <>
      <div class="columns">
        <Balance credits={meter.standing(id).credits ?? found.credits} reserved={reserved} />
        <section class="card grow" aria-labelledby="use-title">
          <h2 id="use-title">{`Credits used in ${chartDays} days`}</h2>
          <div id="use" data-live>
            <UseChart
              id="use-table"
              unit="credits"
              starts={days.starts}
              amounts={usage.map(({ start, route, charged }) => ({ start, route: route ?? '', value: charged }))}
              caption={`Credits used on each of the last ${chartDays} days, by route`}
            />
          </div>
        </section>
      </div>
      <section class="card" aria-labelledby="credits-title">
        <h2 id="credits-title">Move credits</h2>
        <CreditsForm path={`${api}/credits`} booked={found.credits} />
      </section>
      <div id="user" data-live>
        <Facts user={found} plans={Object.keys(config.plans)} path={api} />
      </div>
      <section class="card" aria-labelledby="last-title">
        <div class="row">
          <h2 id="last-title">Last entries</h2>
          <a href={history}>All of the history</a>
        </div>
        <div id="last" data-live>
          {ledger.entries.length === 0 ? (
            <p class="muted empty">There are no entries yet.</p>
          ) : (
            <Entries entries={ledger.entries} receipts={history} caption="The newest of the ledger" />
          )}
        </div>
      </section>
      <Keys keys={keys} path={`${api}/keys`} call={sampleCall(config)} now={new Date(nowMs).toISOString()} />
    </>
  );
  return { title: found.name, body };
}

function Balance({ credits, reserved }: { credits: number; reserved: number }): VNode {
  return (
    <section class="card balance" aria-labelledby="balance-title">
      <h2 id="balance-title">Credits now</h2>
      <div id="balance" data-live>
        <BalanceNumber credits={credits} />
        <p class="muted">{`${numberText(reserved)} of them reserved by gateways for calls.`}</p>
      </div>
    </section>
  );
}

interface FactsProps {
  readonly user: User;
  readonly plans: readonly string[];
  /** Of the API, for this user. */
  readonly path: string;
}

function Facts({ user: { id, email, name, plan, createdAt, blockedAt }, plans, path }: FactsProps): VNode {
  const who = email ?? name;
  return (
    <section class="card" aria-labelledby="facts-title">
      <h2 id="facts-title">
        Who this is <StandingBadge blockedAt={blockedAt} />
      </h2>
      <dl class="facts">
        <dt>Address</dt>
        <dd>{email ?? 'none: a service account'}</dd>
        <dt>Id</dt>
        <dd>
          <code>{id}</code>
        </dd>
        <dt>Since</dt>
        <dd>{timeText(createdAt)}</dd>
        {blockedAt !== null && (
          <>
            <dt>Blocked</dt>
            <dd>{timeText(blockedAt)}</dd>
          </>
        )}
      </dl>
      <div class="fields">
        <form data-method="PATCH" data-path={path} data-told="The plan was changed.">
          <div class="fields">
            <PlanChoice plans={plans} chosen={plan} />
            <button type="submit" class="quiet">
              Change the plan
            </button>
          </div>
          <p class="fault" role="alert" />
        </form>
        <Blocking path={path} who={who} isBlocked={blockedAt !== null} />
      </div>
      <p class="muted small">A plan says with how many credits its users begin. A change of it moves none.</p>
    </section>
  );
}

function Blocking({ path, who, isBlocked }: { path: string; who: string; isBlocked: boolean }): VNode {
  const question = isBlocked
    ? `Let ${who} call again?`
    : `Block ${who}? Within a second every call of theirs is answered 403.`;
  return (
    <form
      data-method="PATCH"
      data-path={path}
      data-confirm={question}
      data-told={isBlocked ? 'The user may call again.' : 'The user is blocked.'}
    >
      <input type="hidden" name="blocked" data-type="boolean" value={String(!isBlocked)} />
      <button id="blocking" type="submit" class={isBlocked ? 'quiet' : 'quiet danger'}>
        {isBlocked ? 'Unblock' : 'Block'}
      </button>
      <p class="fault" role="alert" />
    </form>
  );
}
