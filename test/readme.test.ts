import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { temporaryFolder } from './helpers/databases.ts';
import { noteCredential, noteLogOf } from './helpers/evidence.ts';
import { fencesOf } from './helpers/markdown.ts';
import { until } from './helpers/until.ts';
import { startUpstream } from './helpers/upstreams.ts';

const readme = readFileSync('README.md', 'utf8');
/** What `npx tollgate` runs. tap puts itself into every child process, and npx, which links packages, fails with it. */
const tollgate = 'node dist/src/cli.js';

t.test('the README leads a newcomer from the smallest file to a call that is charged', async (t) => {
  const upstream = await startUpstream(t);
  const env = await configure(t, upstream.url);
  const commands = linesOf('tollgate start');
  t.equal(commands.at(-1), 'npx tollgate start');
  const printed: string[] = [];
  for (const command of commands.slice(0, -1)) {
    const { code, output } = await run(command.replace('npx tollgate', tollgate), env);
    t.equal(code, 0, `${command}: ${output}`);
    printed.push(output);
  }
  const key = /tg_\w{41}|tg_\w{38}/.exec(printed.join('\n'))?.[0];
  t.ok(key, 'the key is printed');
  noteCredential(key ?? '');
  const address = await startIn(t, `${tollgate} start`, env);
  const [, path = ''] = /http:\/\/127\.0\.0\.1:8080(\/\w+)/.exec(linesOf('curl').join()) ?? [];
  const answer = await fetch(`${address}${path}`, { headers: { authorization: `Bearer ${key}` } });
  t.equal(answer.status, 200);
  t.match(Object.fromEntries(answer.headers), { 'x-credits-cost': '1', 'x-credits-remaining': '4999' });
  t.equal(upstream.seen.at(-1)?.url, path);
});

t.test("the README's commands for users who are already there set their credits", async (t) => {
  const env = await configure(t, 'http://127.0.0.1:9');
  t.equal((await run(`${tollgate} users create poor@example.com`, env)).code, 0);
  t.equal((await run(`${tollgate} credits set poor@example.com 0`, env)).code, 0);
  for (const command of linesOf('backfill').toReversed()) {
    const { code, output } = await run(command, env);
    t.equal(code, 0, `${command}: ${output}`);
    const shown = await run(`${tollgate} credits show poor@example.com --json`, env);
    t.match(JSON.parse(shown.output), { credits: 5000 });
    t.equal((await run(`${tollgate} credits set poor@example.com 7`, env)).code, 0);
  }
});

/** The lines of the README's shell block that holds `text`, without prompts. */
function linesOf(text: string): string[] {
  const block = fencesOf(readme).find((fence) => /^(?:sh|console)$/.test(fence.tag) && fence.code.includes(text));
  return (block?.code ?? '')
    .trim()
    .split('\n')
    .map((line) => line.replace(/^\$ /, ''));
}

/** The README's smallest file, with the upstream of the test, a place of its own for data, and ports that are free. */
async function configure(t: Test, upstreamUrl: string): Promise<NodeJS.ProcessEnv> {
  const smallest = fencesOf(readme).find(({ tag }) => tag === 'yaml')?.code ?? '';
  t.match(smallest, 'http://127.0.0.1:4000');
  const folder = await temporaryFolder(t);
  const own = [
    `dataDir: ${join(folder, 'data')}`,
    'server: { host: 127.0.0.1, port: 0 }',
    'ops: { host: 127.0.0.1, port: 0 }',
  ];
  const file = join(folder, 'gateway.yaml');
  await writeFile(file, `${smallest.replace('http://127.0.0.1:4000', upstreamUrl)}\n${own.join('\n')}\n`);
  return { ...process.env, DATABASE_URL: '', TOLLGATE_CONFIG: file };
}

async function run(command: string, env: NodeJS.ProcessEnv): Promise<{ code: number | null; output: string }> {
  const child = spawn('sh', ['-c', command], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  noteLogOf(child.stderr);
  child.stderr.pipe(process.stderr);
  const output = outputOf(child);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output: output() };
}

/** Starts it as a process group of its own, ended with the test, and gives the address that it logs. */
async function startIn(t: Test, command: string, env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn('sh', ['-c', command], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = outputOf(child);
  noteLogOf(child.stdout);
  noteLogOf(child.stderr);
  child.stderr.pipe(process.stderr);
  t.teardown(async () => {
    const closed = once(child, 'close');
    if (child.pid === undefined || child.exitCode !== null) return;
    process.kill(-child.pid, 'SIGTERM');
    await closed;
  });
  const ready = await until(
    () => /"address":"([^"]+)"/.exec(output()),
    (match) => match !== null || child.exitCode !== null,
  );
  return ready?.[1] ?? '';
}

function outputOf(child: ChildProcess): () => string {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}
