// The first page: what is left, how fast it goes and where to.

import type { VNode } from 'preact';
import { listLedger, sumUserUsage } from '../store/history.ts';
import { BalanceNumber } from './balance-number.tsx';
import { type Amount, UseChart } from './chart.tsx';
import { daysLeft, lastDays } from './days.ts';
import { Entries } from './entries.tsx';
import { countText } from './format.ts';
import type { Page, PageContext } from './page.ts';

const chartDays = 30;
const entriesShown = 8;
/** Enough for a thousand routes on each day. */
const rowsMax = 30_000;

/** Credits left, use per day, the last entries. */
export async function overview({ db, base, visitor, config }: PageContext): Promise<Page> {
  const nowMs = Date.now();
  const days = lastDays(chartDays, nowMs);
  const range = { from: days.from, to: days.to, limit: rowsMax };
  const [usage, ledger] = await Promise.all([
    sumUserUsage(db, visitor.id, { bucket: 'day', isByRoute: true, ...range }),
    listLedger(db, visitor.id, { limit: entriesShown }),
  ]);
  const amounts = usage.map(({ start, route, charged }) => ({ start, route: route ?? '', value: charged }));
  const body = (
    <>
      <div class="columns">
        <Balance
          credits={visitor.credits}
          left={daysLeft(visitor.credits, perDay(days.starts, amounts), nowMs)}
          topUpUrl={config.topUpUrl}
        />
        <section class="card grow" aria-labelledby="use-title">
          <h2 id="use-title">{`Credits used in ${chartDays} days`}</h2>
          <div id="use" data-live>
            <UseChart
              id="use-table"
              unit="credits"
              starts={days.starts}
              amounts={amounts}
              caption={`Credits used on each of the last ${chartDays} days, by route`}
            />
          </div>
        </section>
      </div>
      <section class="card" aria-labelledby="last-title">
        <div class="row">
          <h2 id="last-title">Last entries</h2>
          <a href={`${base}/history`}>All of the history</a>
        </div>
        <div id="last" data-live>
          {ledger.entries.length > 0 && (
            <Entries entries={ledger.entries} receipts={`${base}/history`} caption="The newest of the ledger" />
          )}
          {ledger.entries.every(({ kind }) => kind !== 'charge') && <Beginning base={base} />}
        </div>
      </section>
    </>
  );
  return { title: 'Overview', body };
}

function perDay(starts: readonly string[], amounts: readonly Amount[]): number[] {
  const sums = new Map<string, number>();
  for (const { start, value } of amounts) sums.set(start, (sums.get(start) ?? 0) + value);
  return starts.map((start) => sums.get(start) ?? 0);
}

interface BalanceProps {
  readonly credits: number;
  readonly left: number | null;
  readonly topUpUrl: string | null;
}

function Balance({ credits, left, topUpUrl }: BalanceProps): VNode {
  return (
    <section class="card balance" aria-labelledby="balance-title">
      <h2 id="balance-title">Credits left</h2>
      <div id="balance" data-live>
        <BalanceNumber credits={credits} />
        <p class="muted">{lastingText(credits, left)}</p>
      </div>
      {topUpUrl !== null && (
        <p>
          <a class="button" href={topUpUrl} rel="noreferrer">
            Get more credits
          </a>
        </p>
      )}
    </section>
  );
}

function lastingText(credits: number, left: number | null): string {
  if (credits <= 0) return 'Calls that cost credits are refused until there are more.';
  if (left === null) return 'Nothing was used in the last 7 days.';
  const pace = 'at the pace of the last 7 days';
  if (left < 1) return `They last less than a day ${pace}.`;
  return left > 999 ? `They last for years ${pace}.` : `They last about ${countText(Math.round(left), 'day')} ${pace}.`;
}

function Beginning({ base }: { base: string }): VNode {
  return (
    <p class="empty">
      No call has been charged yet. <a href={`${base}/keys`}>Make an API key</a> and call: it shows here.
    </p>
  );
}
