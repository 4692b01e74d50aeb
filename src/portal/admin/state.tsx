// How the gateway stands: whether the books are right, the database, the journal, the calls, and every instance with what it
// has reserved. What one process alone knows, the one that answers tells of itself.

import type { ComponentChildren, VNode } from 'preact';
import type { MeterState } from '../../meter/state.ts';
import { isPostgres } from '../../store/database.ts';
import { describeInstances } from '../../store/instances.ts';
import { countText, numberText, spanText, timeText } from '../format.ts';
import type { Page, PageContext } from '../page.ts';
import { Scroll } from '../scroll.tsx';
import { Share } from './share.tsx';

type Instance = Awaited<ReturnType<typeof describeInstances>>[number];

/** All of it, live. */
export async function state({ db, meter, driftOf }: PageContext): Promise<Page> {
  const instances = await describeInstances(db);
  const now = meter.state();
  const body = (
    <div id="state" data-live>
      <div class="tiles">
        <Books drift={driftOf()} />
        <Database kind={isPostgres(db) ? 'PostgreSQL' : 'SQLite'} state={now} />
        <Journal state={now} />
        <Calls state={now} />
      </div>
      <section class="card" aria-labelledby="instances-title">
        <h2 id="instances-title">{countText(instances.length, 'instance')}</h2>
        <Instances instances={instances} own={now.instance} />
        <p class="muted small">
          Journal and calls are those of the instance that answers. A lease reserves credits for calls to come, and is
          given back when they do not come.
        </p>
      </section>
    </div>
  );
  return { title: 'State', body };
}

interface VerdictProps {
  readonly title: string;
  /** Null where it cannot be told. */
  readonly isGood: boolean | null;
  readonly verdict: string;
  readonly children: ComponentChildren;
}

function Verdict({ title, isGood, verdict, children }: VerdictProps): VNode {
  const look = isGood === null ? 'muted' : isGood ? 'good' : 'bad';
  return (
    <section class="card" aria-label={title}>
      <h2>{title}</h2>
      <p class={`verdict ${look}`}>
        <span aria-hidden="true">{isGood === null ? '○' : isGood ? '✓' : '✗'}</span> {verdict}
      </p>
      <p class="muted">{children}</p>
    </section>
  );
}

function Books({ drift }: { drift: number | null }): VNode {
  if (drift === null) {
    return (
      <Verdict title="Books" isGood={null} verdict="Looked over elsewhere">
        With several workers their parent looks over them: the metric <code>tollgate_ledger_drift</code>, or{' '}
        <code>tollgate audit</code>.
      </Verdict>
    );
  }
  return drift === 0 ? (
    <Verdict title="Books" isGood verdict="The books are right">
      Every balance looked at is the sum of its ledger.
    </Verdict>
  ) : (
    <Verdict title="Books" isGood={false} verdict={`Balances differ by ${countText(drift, 'credit')}`}>
      They are not the sum of their ledger. Run <code>tollgate audit</code>: it names the users.
    </Verdict>
  );
}

function Database({ kind, state: { isStoreUp, secondsSinceSync } }: { kind: string; state: MeterState }): VNode {
  return (
    <Verdict title="Database" isGood={isStoreUp} verdict={`${kind} ${isStoreUp ? 'is up' : 'does not answer'}`}>
      {secondsSinceSync === null ? 'There was no exchange yet.' : `The last exchange was ${agoText(secondsSinceSync)}.`}
    </Verdict>
  );
}

function agoText(seconds: number): string {
  return seconds < 1 ? 'less than a second ago' : `${spanText(seconds)} ago`;
}

function Journal({ state: { unsentCharges, oldestUnsentSeconds, journalFault } }: { state: MeterState }): VNode {
  const verdict = journalFault === null ? 'The journal is written' : 'The journal is not written';
  const left = `${countText(unsentCharges, 'charge')} not yet in the database`;
  return (
    <Verdict title="Journal" isGood={journalFault === null} verdict={verdict}>
      {unsentCharges === 0
        ? 'Every charge is in the database.'
        : `${left}, the oldest for ${spanText(oldestUnsentSeconds)}.`}
      {journalFault !== null && ` ${journalFault}`}
    </Verdict>
  );
}

function Calls({ state: { holdsOpen, oldestHoldSeconds } }: { state: MeterState }): VNode {
  return (
    <section class="card" aria-label="Calls">
      <h2>Calls in flight</h2>
      <p class="figure">{numberText(holdsOpen)}</p>
      <p class="muted">
        {holdsOpen === 0 ? 'No credits are held.' : `The oldest holds its credits for ${spanText(oldestHoldSeconds)}.`}
      </p>
    </section>
  );
}

function Instances({ instances, own }: { instances: readonly Instance[]; own: string }): VNode {
  if (instances.length === 0) return <p class="muted empty">No instance is entered in the database.</p>;
  const most = Math.max(...instances.map(({ leasedCredits }) => leasedCredits));
  return (
    <Scroll label="Instances">
      <table>
        <caption class="hidden">Instances</caption>
        <thead>
          <tr>
            <th scope="col">Instance</th>
            <th scope="col">Started</th>
            <th scope="col" class="number">
              Credits reserved
            </th>
            <th scope="col">
              <span class="hidden">Compared</span>
            </th>
            <th scope="col" class="number">
              Leases
            </th>
            <th scope="col" class="number">
              Messages
            </th>
          </tr>
        </thead>
        <tbody>
          {instances.map(({ id, startedAt, messages, leases, leasedCredits }) => (
            <tr key={id}>
              <th scope="row" class="nowrap">
                <code>{id}</code> {id === own && <span class="badge good">answers</span>}
              </th>
              <td class="nowrap">
                <time dateTime={startedAt}>{timeText(startedAt)}</time>
              </td>
              <td class="number">{numberText(leasedCredits)}</td>
              <td>
                <Share value={leasedCredits} of={most} />
              </td>
              <td class="number">{numberText(leases)}</td>
              <td class="number">{numberText(messages)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
