import { readFileSync } from 'node:fs';
import t from 'tap';
import { type ErrorCode, errorTable, TollgateError } from '../src/errors.ts';
import { sectionsOf } from './helpers/markdown.ts';
import { readSources } from './helpers/sources.ts';

const documentation = readFileSync('docs/errors.md', 'utf8');

t.test(
  'docs/errors.md has every code of the table, in its order, with its status and message, and no other',
  async (t) => {
    const documented = sectionsOf(documentation, 3).map(({ title, body }) => [title, body.trim().split('\n')[0]]);
    const listed = Object.entries(errorTable).map(([code, { status, message }]) => [code, `**${status}** ${message}`]);
    t.same(documented, listed);
  },
);

t.test('every code is explained below its message', async (t) => {
  for (const { title, body } of sectionsOf(documentation, 3)) {
    const [, ...explanation] = body.trim().split('\n\n');
    t.ok(explanation.join(' ').length > 60, title);
  }
});

t.test('docs/errors.md lays the blame as the table does', async (t) => {
  const documented = sectionsOf(documentation, 2).map(({ title, body }) => [
    title,
    ...sectionsOf(body, 3).map((section) => section.title),
  ]);
  const listed: string[][] = [];
  for (const line of readFileSync('src/errors.ts', 'utf8').split('\n')) {
    const blame = /^ {2}\/\/ (.+)\.$/.exec(line)?.[1];
    const code = /^ {2}(TG_\w+):/.exec(line)?.[1];
    if (blame !== undefined) listed.push([blame]);
    if (code !== undefined) listed.at(-1)?.push(code);
  }
  t.same(documented, listed);
});

t.test('every code is used, beside the table', async (t) => {
  const text = readSources(['src'])
    .filter(({ path }) => path !== 'src/errors.ts')
    .map((source) => source.text.replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, ''))
    .join('\n');
  for (const code of Object.keys(errorTable)) t.ok(text.includes(`'${code}'`), code);
});

t.test('an error carries the status and message of its code, and the cause for the log alone', async (t) => {
  const cause = new Error('connect ECONNREFUSED 10.0.0.7:5432');
  const codes = Object.keys(errorTable) as ErrorCode[];
  for (const code of codes) {
    const error = new TollgateError(code, { required: 7 }, cause);
    t.match(error, { code, ...errorTable[code], facts: { required: 7 }, cause });
    t.notOk(JSON.stringify(error).includes('10.0.0.7'), code);
  }
});
