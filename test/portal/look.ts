// What is looked at on every page: the faults that axe-core finds, in light and dark, and whether it fits phones and walls.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import type { Test } from 'tap';
import { overhangOf } from '../helpers/portal-pages.ts';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Looks at a page as it is, with all that folds open. */
export async function look(t: Test, page: Page, what: string): Promise<void> {
  for (const details of await page.locator('details').all()) await details.evaluate('(each) => { each.open = true; }');
  await page.evaluate(`${axe}; undefined`);
  t.same(await page.evaluate(faultsBy('{}')), [], what);
  await page.emulateMedia({ colorScheme: 'dark' });
  t.same(await page.evaluate(faultsBy('{ runOnly: ["color-contrast"] }')), [], `${what}, dark`);
  await page.emulateMedia({ colorScheme: 'light' });
  for (const width of [360, 1920]) {
    await page.setViewportSize({ width, height: 800 });
    t.equal(await overhangOf(page), 0, `${what}, ${width} pixels wide`);
  }
}

function faultsBy(rules: string): string {
  return `axe.run(document, ${rules}).then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html)))`;
}
