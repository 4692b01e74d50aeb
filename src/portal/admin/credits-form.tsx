// Credits moved by an operator: given, taken, or set. Each change says why, and is made once, however often the button is
// pressed.

import type { VNode } from 'preact';
import { numberText } from '../format.ts';

const kinds = [
  ['grant', 'Give credits'],
  ['topup', 'Top up, what was bought'],
  ['refund', 'Refund'],
  ['deduct', 'Deduct'],
  ['set', 'Set the balance'],
] as const;

interface CreditsFormProps {
  /** Of the API. */
  readonly path: string;
  /** The balance as the ledger has it, to which `set` compares. */
  readonly booked: number;
}

/** One form for every kind; of its fields those show that the kind takes. */
export function CreditsForm({ path, booked }: CreditsFormProps): VNode {
  return (
    <form data-method="POST" data-path={path} data-once="" data-told="It is in the ledger.">
      <div class="fields">
        <label>
          What
          <select name="kind">
            {kinds.map(([kind, label]) => (
              <option key={kind} value={kind}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <fieldset data-when-kind="grant topup refund deduct">
          <label>
            Credits
            <input
              name="amount"
              type="number"
              data-type="integer"
              min={1}
              max={Number.MAX_SAFE_INTEGER}
              step={1}
              required
            />
          </label>
        </fieldset>
        <fieldset data-when-kind="set" hidden disabled>
          <label>
            <span id="set-from" data-live>
              {`New balance, now ${numberText(booked)}`}
              <input type="hidden" name="ifCredits" data-type="integer" value={booked} />
            </span>
            <input
              name="credits"
              type="number"
              data-type="integer"
              min={0}
              max={Number.MAX_SAFE_INTEGER}
              step={1}
              required
            />
          </label>
        </fieldset>
        <label class="grow">
          Note, why
          <input name="note" maxLength={500} required />
        </label>
        <button type="submit">Book it</button>
      </div>
      <fieldset data-when-kind="deduct" hidden disabled>
        <label class="check">
          <input type="checkbox" name="force" />
          Even if it leaves less than 0, or takes what calls in flight have reserved
        </label>
      </fieldset>
      <p class="fault" role="alert" />
    </form>
  );
}
