// A balance as the first thing that is seen.

import type { VNode } from 'preact';
import { numberText } from './format.ts';

/** With as many characters as this a number is set smaller, so that it stays on one line. */
const longLength = 8;

export function BalanceNumber({ credits }: { credits: number }): VNode {
  const text = numberText(credits);
  const classes = ['big', ...(text.length >= longLength ? ['long'] : []), ...(credits > 0 ? [] : ['none'])];
  return <p class={classes.join(' ')}>{text}</p>;
}
