// Whether a user may call.

import type { VNode } from 'preact';

/** Says of who is blocked that it is so, and nothing of everybody else. */
export function StandingBadge({ blockedAt }: { readonly blockedAt: string | null }): VNode | null {
  return blockedAt === null ? null : <span class="badge bad">blocked</span>;
}
