import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import t from 'tap';
import {
  complaintsAbout,
  credentialsEnding,
  evidenceFile,
  evidenceVariable,
  logEnding,
  searchEvidence,
} from '../../scripts/test/evidence.ts';
import { temporaryFolder } from '../helpers/databases.ts';
import { readSources } from '../helpers/sources.ts';

const key = 'tg_0123456789abcdefghijKLMNOPQRST';

t.test('what the processes of a run have noted is there when they have ended, and searched as one', async (t) => {
  const folder = await temporaryFolder(t);
  await note(folder, `noteCredential('${key}'); noteCredential('${key}'); noteLog('one'); process.exit()`);
  await note(folder, `for (let i = 0; i < 200_000; i += 1) noteLog('a line of the log'); noteLog('<${key}>\\n')`);
  const searched = await searchEvidence(folder);
  t.match(searched, { credentials: 1, lines: 200_002, leaks: { length: 1 } });
  const [complaint, ...others] = complaintsAbout(searched, true);
  t.match(complaint, /\(\d+ [0-9a-f]{8}\) has logged a credential, tg_01234…: <\[tg_01234…\]>$/);
  t.same(others, []);
});

t.test('a process that is told of no folder keeps nothing, and refuses short credentials all the same', async (t) => {
  await note('', `noteLog('one'); noteCredential('${key}')`);
  await t.rejects(note('', `noteCredential('short')`), /short is too short to be searched for/);
});

t.test('a whole suite without credentials or without a log fails, a single file does not', async (t) => {
  const searchedWith = async (...files: [ending: string, text: string][]) => {
    const folder = await temporaryFolder(t);
    for (const [ending, text] of files) await writeFile(evidenceFile(folder, 'a.test.js', ending), text);
    return searchEvidence(folder);
  };
  const credential: [string, string] = [credentialsEnding, `${JSON.stringify(key)}\n`];
  const log: [string, string] = [logEnding, 'a line\n'];
  t.same(complaintsAbout(await searchedWith(), false), []);
  t.equal(complaintsAbout(await searchedWith(), true).length, 2);
  t.match(complaintsAbout(await searchedWith(log), true), [/no test has noted a credential/]);
  t.match(complaintsAbout(await searchedWith(credential), true), [/no test has handed in its log/]);
  t.same(complaintsAbout(await searchedWith(credential, log), true), []);
});

t.test('a leak in every line is told in few', async (t) => {
  const leaks = Array.from({ length: 50 }, () => ({ process: 'a', hints: ['tg_01234'], line: 'x'.repeat(100_000) }));
  const complaints = complaintsAbout({ credentials: 1, lines: 50, leaks }, true);
  t.equal(complaints.at(-1), 'and 30 more lines of log hold credentials');
  t.ok(complaints.join('').length < 50_000);
});

t.test('whatever starts a gateway in the tests hands in its log', async (t) => {
  const starters = readSources(['test']).filter(({ text }) => /\bstartGateway\(|dist\/src\/cli\.js/.test(text));
  t.ok(starters.length >= 5, 'they are found');
  for (const { path, text } of starters) t.match(text, /write: noteLog\b|\bnoteLog(?:Of)?\(/, path);
});

/** Runs a script with the helper's functions in a process of its own. */
async function note(folder: string, script: string): Promise<void> {
  const names = '{ noteCredential, noteLog }';
  const code = `import ${names} from './dist/test/helpers/evidence.js'; ${script}`;
  const env = { ...process.env, [evidenceVariable]: folder };
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], { env });
}
