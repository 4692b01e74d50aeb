// One ledger entry, told so that it answers "why was I charged".

import type { VNode } from 'preact';
import { TollgateError } from '../errors.ts';
import { isEntryId } from '../schema/ledger-filter.ts';
import type { Db, Ending } from '../store/database.ts';
import { findEntry, type LedgerEntry } from '../store/history.ts';
import { listKeys } from '../store/keys.ts';
import { kindName } from './entries.tsx';
import { countText, signedText, timeText } from './format.ts';
import type { Page, PageContext } from './page.ts';

/** The receipt of one's own entry. */
export async function receipt({ db, base, visitor, params }: PageContext): Promise<Page> {
  return receiptOf(db, visitor.id, params['entryId'] ?? '', { back: `${base}/history`, isForOperators: false });
}

export interface ReceiptTerms {
  /** The history it belongs to. */
  readonly back: string;
  /** Whether it is told who moved the credits. */
  readonly isForOperators: boolean;
}

/** The receipt of an entry of one user. Throws TG_ENTRY_NOT_FOUND. */
export async function receiptOf(
  db: Db,
  userId: string,
  id: string,
  { back, isForOperators }: ReceiptTerms,
): Promise<Page> {
  const [entry, keys] = await Promise.all([isEntryId(id) ? findEntry(db, userId, id) : null, listKeys(db, userId)]);
  if (entry === null) throw new TollgateError('TG_ENTRY_NOT_FOUND');
  const key = keys.find((each) => each.id === entry.keyId);
  const facts: readonly (readonly [string, VNode | string | null])[] = [
    ['Credits', signedText(entry.amount)],
    ['When', <time dateTime={entry.createdAt}>{`${timeText(entry.createdAt)} UTC`}</time>],
    ['Route', entry.route],
    ['Status', entry.status === null ? null : String(entry.status)],
    ['Ended', entry.ended],
    ['Key', entry.keyId === null ? null : keyText(entry.keyId, key)],
    ['Request', entry.requestId],
    ['Note', entry.note],
    ['By', isForOperators ? entry.actor : null],
    ['Entry', entry.id],
  ];
  const body = (
    <>
      <section class="card" aria-labelledby="why-title">
        <h2 id="why-title">{entry.kind === 'charge' ? 'Why this was charged' : 'What this is'}</h2>
        <p class="lead break">{reasonOf(entry)}</p>
        {entry.kind === 'charge' && (
          <p class="muted">
            Calls that fail cost nothing: any other status, an answer that breaks off at the API, a call that the
            gateway refuses or ends. A client that gives up and tries again makes a new call each time.
          </p>
        )}
      </section>
      <section class="card" aria-labelledby="facts-title">
        <h2 id="facts-title">Receipt</h2>
        <dl class="facts">
          {facts.map(([name, value]) =>
            value === null ? null : (
              <>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </>
            ),
          )}
        </dl>
        <p>
          <a href={back}>Back to the history</a>
        </p>
      </section>
    </>
  );
  return { title: `${kindName(entry.kind)}: ${signedText(entry.amount)}`, body };
}

function keyText(id: string, key: { readonly name: string; readonly hint: string } | undefined): string {
  return key === undefined ? id : `${key.name} (${key.hint}…)`;
}

const endTexts: Readonly<Record<Ending, (status: number | null) => string>> = {
  delivered: (status) => `The API answered ${status}, a success, and the whole answer was delivered.`,
  'caller-left': (status) =>
    `The API answered ${status}, a success, and the caller left while the answer was on its way: it counts as delivered.`,
  'caller-left-early': (status) =>
    `The caller left before the API had answered. The request had been sent whole, and the API answered ${status}, a success.`,
  'caller-stalled': (status) =>
    `The API answered ${status}, a success, and the caller stopped reading until the gateway closed the connection.`,
  upgraded: () => 'The API accepted the connection (a WebSocket): that is what is charged, however long it stays open.',
};

/** Of charges of old it is not known how the call ended. */
function endText(status: number | null, ended: Ending | null): string {
  return ended === null ? `The API answered ${status}, a success.` : endTexts[ended](status);
}

function reasonOf({ kind, route, amount, status, ended, note }: LedgerEntry): string {
  const why = note === null ? '' : ` The note says: ${note}`;
  switch (kind) {
    case 'charge':
      return `A call on ${route} costs ${countText(-amount, 'credit')}. ${endText(status, ended)}`;
    case 'signup':
      return 'These are the credits that the account began with.';
    case 'grant':
      return `The operator gave these credits.${why}`;
    case 'topup':
      return `These credits were bought.${why}`;
    case 'refund':
      return `These credits were given back.${why}`;
    case 'adjustment':
      return `The balance was corrected.${why}`;
  }
}
