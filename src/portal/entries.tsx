// Ledger entries as a table: what happened to the credits, the newest first.

import type { VNode } from 'preact';
import type { LedgerEntry } from '../store/history.ts';
import { numberText, signedText, timeText } from './format.ts';
import { Scroll } from './scroll.tsx';

const kindNames: Readonly<Record<LedgerEntry['kind'], string>> = {
  signup: 'Starting credits',
  charge: 'Call',
  grant: 'Credits given',
  topup: 'Top-up',
  refund: 'Refund',
  adjustment: 'Correction',
};

/** What a kind of entry is called. */
export function kindName(kind: LedgerEntry['kind']): string {
  return kindNames[kind];
}

interface EntriesProps {
  readonly entries: readonly LedgerEntry[];
  /** Where the receipts are: below this path, by the id of the entry. */
  readonly receipts: string;
  readonly caption: string;
}

/** Each with a link to its receipt. */
export function Entries({ entries, receipts, caption }: EntriesProps): VNode {
  return (
    <Scroll label={caption}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">What</th>
            <th scope="col" class="number">
              Credits
            </th>
            <th scope="col" class="number">
              <span class="hidden">Receipt</span>
            </th>
            <th scope="col">Route or note</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.id}>
              <td class="nowrap">
                <time dateTime={entry.createdAt}>{timeText(entry.createdAt)}</time>
              </td>
              <td class="nowrap">
                {kindName(entry.kind)}
                {entry.status !== null && <span class="muted">{` ${entry.status}`}</span>}
              </td>
              <td class={`number ${entry.amount > 0 ? 'plus' : ''}`}>{signedText(entry.amount)}</td>
              <td class="number">
                <a
                  href={`${receipts}/${entry.id}`}
                  aria-label={`Receipt of ${timeText(entry.createdAt)}, ${numberText(entry.amount)}`}
                >
                  Receipt
                </a>
              </td>
              <td class="break">{entry.route ?? entry.note ?? ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
