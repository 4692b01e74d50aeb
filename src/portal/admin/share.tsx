// How much something is beside the largest of its kind, as a bar.

import type { VNode } from 'preact';

/** The number itself stands beside it, for who does not see the bar. */
export function Share({ value, of }: { readonly value: number; readonly of: number }): VNode {
  return (
    <svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class="track" width="100" height="8" />
      <rect class="bar s0" width={of <= 0 ? 0 : (100 * Math.max(0, value)) / of} height="8" />
    </svg>
  );
}
