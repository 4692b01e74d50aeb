// What may be wider than the page, tables first of all: it scrolls by itself, also by the keyboard.

import type { ComponentChildren, VNode } from 'preact';

/** A part with a name that scrolls. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }): VNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard.
    <section class="scroll" tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}
