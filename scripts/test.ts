// Runs every test on one real PostgreSQL that it starts for the run (or on the one that TEST_DATABASE_URL names), and
// ends with one line that counts. Then it searches all that was logged for every credential that was used, and fails when
// it finds one. Arguments go to tap, for example a single compiled test file.

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from './postgres.ts';
import { complaintsAbout, evidenceVariable, searchEvidence } from './test/evidence.ts';

process.exit(await runTests(process.argv.slice(2)));

async function runTests(args: string[]): Promise<number> {
  const given = process.env['TEST_DATABASE_URL'];
  const server = given === undefined || given === '' ? await startPostgres() : null;
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-results-'));
  const results = join(folder, 'results.tap');
  const evidence = join(folder, 'evidence');
  try {
    await mkdir(evidence);
    const env = {
      ...process.env,
      ...(server !== null && { TEST_DATABASE_URL: server.url }),
      [evidenceVariable]: evidence,
    };
    // tap makes its own test class out of the plugins that .taprc names, and does not notice by itself when it is new.
    await run('tap', ['build'], env);
    const reporter = process.stdout.isTTY ? 'terse' : 'silent';
    const code = await run('tap', [`--output-file=${results}`, `--reporter=${reporter}`, ...args], env);
    const told = await readFile(results, 'utf8');
    const counts = countsOf(told);
    for (const failure of failuresOf(told)) console.log(failure);
    console.log(`${counts.passed} passed, ${counts.failed} failed`);
    const isClean = await isFreeOfCredentials(evidence, args.length === 0);
    return code === 0 && counts.failed === 0 && counts.passed > 0 && isClean ? 0 : 1;
  } finally {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function isFreeOfCredentials(evidence: string, isWholeSuite: boolean): Promise<boolean> {
  const searched = await searchEvidence(evidence);
  const complaints = complaintsAbout(searched, isWholeSuite);
  for (const complaint of complaints) console.log(complaint);
  const { credentials, lines, leaks } = searched;
  console.log(`${credentials} credentials looked for in ${lines} lines of log, found in ${leaks.length || 'none'}`);
  return complaints.length === 0;
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(join('node_modules', '.bin', command), args, { env, stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

/** Each failure with its explanation, and each file or test that holds one. */
function failuresOf(tap: string): string[] {
  return [...tap.matchAll(/^( *)not ok .*(?:\n\1 {2}---\n[\s\S]*?\n\1 {2}\.\.\.$)?/gm)].map(([failure]) => failure);
}

/** The totals that tap writes last, for example `# { total: 12, pass: 11, fail: 1 }`. */
function countsOf(tap: string): { passed: number; failed: number } {
  const totals = [...tap.matchAll(/^# \{ total: .*\}$/gm)].at(-1)?.[0] ?? '';
  const count = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(totals)?.[1] ?? 0);
  return { passed: count('pass'), failed: count('fail') };
}
