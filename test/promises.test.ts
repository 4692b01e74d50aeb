// The tables of promises name the tests that hold them: each name is one of a test that is run.

import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { sectionsOf, tableRows } from './helpers/markdown.ts';

const readme = tableRows(sectionNamed('README.md', 2, 'Promises'));
const invariants = tableRows(sectionNamed('ARCHITECTURE.md', 3, 'Invariants'));

t.test('every promise of the README names the tests that hold it, and they exist', async (t) => {
  t.ok(readme.length > 5, 'the table is found');
  t.same(readme.flatMap(faultsIn), []);
});

t.test('every one of the seven invariants names the tests that hold it, and they exist', async (t) => {
  t.same(
    invariants.map(([number]) => number),
    ['1', '2', '3', '4', '5', '6', '7'],
  );
  t.same(invariants.flatMap(faultsIn), []);
});

t.test('a name that no test has, a file that is not there or not run, and a row without a test are told', async (t) => {
  const [file, name] = ['test/promises.test.ts', 'a name that no test has'];
  const wrong = [
    `[${name}](${file})`,
    '[a name](test/gone.test.ts)',
    '[a name](test/helpers/markdown.ts)',
    'none',
    '[every promise of the README](test/promises.test.ts)',
    '[4 databases: not a test of this file](test/app.test.ts)',
  ];
  t.same(
    wrong.flatMap((cell) => faultsIn(['a promise', cell])),
    [
      `a promise: ${file} has no test "${name}"`,
      'a promise: test/gone.test.ts is no file of tests',
      'a promise: test/helpers/markdown.ts is no file of tests',
      'a promise: no test is named',
      `a promise: ${file} has no test "every promise of the README"`,
      'a promise: test/app.test.ts has no test "4 databases: not a test of this file"',
    ],
  );
  t.same(faultsIn(['a promise', '[a charge that arrives twice is booked once](test/store/exchange.test.ts)']), []);
});

function sectionNamed(file: string, level: number, title: string): string {
  return sectionsOf(readFileSync(file, 'utf8'), level).find((section) => section.title === title)?.body ?? '';
}

/** What is wrong with a row of a promise and, in its last cell, links to its tests. */
function faultsIn(row: readonly string[]): string[] {
  const links = [...(row.at(-1) ?? '').matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)];
  const faults = links.flatMap(([, name = '', file = '']) => {
    if (!/^test\/.*\.test\.ts$/.test(file) || !existsSync(file)) return [`${file} is no file of tests`];
    return namesIn(readFileSync(file, 'utf8')).some((each) => each.test(name)) ? [] : [`${file} has no test "${name}"`];
  });
  if (links.length === 0) faults.push('no test is named');
  return faults.map((fault) => `${row.at(-2)}: ${fault}`);
}

/** A pattern for the name of each test in a file. What a template fills in may be anything; the dialect before it is left out. */
function namesIn(source: string): RegExp[] {
  const titles = source.matchAll(/\bt\.test\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g);
  return [...titles].map(([, , title = '']) => {
    const parts = title.replace(/^\$\{dialect\}: /, '').split(/\$\{[^}]*\}/);
    const escaped = parts.map((part) => part.replaceAll(/\\(.)/g, '$1').replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${escaped.join('.+')}$`);
  });
}
