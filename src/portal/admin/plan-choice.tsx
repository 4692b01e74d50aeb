// Which plan a user is on.

import type { VNode } from 'preact';

interface PlanChoiceProps {
  readonly plans: readonly string[];
  readonly chosen: string;
}

/** One of the plans; the one that is chosen may be configured no more. */
export function PlanChoice({ plans, chosen }: PlanChoiceProps): VNode {
  return (
    <label>
      Plan
      <select name="plan">
        {(plans.includes(chosen) ? plans : [chosen, ...plans]).map((plan) => (
          <option key={plan} value={plan} selected={plan === chosen}>
            {plan}
          </option>
        ))}
      </select>
    </label>
  );
}
