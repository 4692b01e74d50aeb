// The command line, in a folder with a configuration: as people run it, the compiled program in a process of its own, or,
// for the many cases that differ in words alone, the same within this process, which is fifty times as fast.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import type { Test } from 'tap';
import { runCommandLine } from '../../src/cli/run.ts';
import { type Dialect, emptyDatabase, type TestDatabase, temporaryFolder } from './databases.ts';
import { noteKeysIn, noteLog, noteLogOf } from './evidence.ts';
import { until } from './until.ts';

/** What a command left behind. `code` is null when a signal ended it. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is typed: on a terminal, or through a pipe. */
export interface Input {
  readonly text: string;
  readonly isTTY?: boolean;
}

/** A folder in which commands are run. */
export interface CommandLine {
  readonly folder: string;
  /** Runs `tollgate ARGS` within this process; `args` may be one text, split at its spaces. */
  run(args: string | readonly string[], input?: Input): Promise<Ended>;
  /** Runs it likewise, expects success, and gives the document that --json prints. */
  json<T>(args: string | readonly string[]): Promise<T>;
  /** Starts it in a process of its own, which is killed at the end of the test if it still runs. */
  start(args: string | readonly string[]): Running;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** The first match in what it has printed on stdout and stderr, when it comes. Some start several processes first. */
  printed(pattern: RegExp, deadlineMs?: number): Promise<RegExpExecArray>;
  /** What it has printed there so far. */
  stdout(): string;
}

const program = resolve('dist/src/cli.js');

/** A folder with a gateway.yaml for a database of the dialect, an empty one where none is given; `more` is further YAML. */
export async function openCommandLine(
  t: Test,
  dialect: Dialect,
  more = '',
  given?: TestDatabase,
): Promise<CommandLine & { readonly test: TestDatabase }> {
  const folder = await temporaryFolder(t);
  const test = given ?? (await emptyDatabase(t, dialect));
  const text = [
    'server: { host: 127.0.0.1, port: 0 }',
    'ops: { host: 127.0.0.1, port: 0 }',
    `database: { url: "${test.url}", schema: ${test.schema} }`,
    'upstreams: { api: "http://127.0.0.1:9" }',
    'routes: [{ path: /, upstream: api }]',
    more,
  ].join('\n');
  await writeFile(join(folder, 'gateway.yaml'), text);
  return { ...commandLineIn(t, folder), test };
}

/** Runs commands in a folder that is there. */
export function commandLineIn(t: Test, folder: string): CommandLine {
  const start = (args: string | readonly string[]) =>
    startProcess(t, process.execPath, [program, ...split(args)], folder);
  const run = (args: string | readonly string[], input?: Input) => runHere(split(args), folder, input);
  const json = async <T>(args: string | readonly string[]) => {
    const { code, stdout, stderr } = await run([...split(args), '--json']);
    if (code !== 0) throw new Error(`${split(args).join(' ')} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  };
  return { folder, run, json, start };
}

async function runHere(args: readonly string[], folder: string, input: Input = { text: '' }): Promise<Ended> {
  const isTTY = input.isTTY === true;
  const stdin = Object.assign(new PassThrough(), { isTTY });
  stdin.end(input.text);
  const env = { TOLLGATE_CONFIG: join(folder, 'gateway.yaml') };
  const [stdout, stderr] = [new PassThrough(), Object.assign(new PassThrough(), { isTTY })];
  const code = await runCommandLine(args, { env, stdin, stdout, stderr });
  const textOf = (stream: PassThrough) => String(stream.read() ?? '');
  const ended = { code, stdout: textOf(stdout), stderr: textOf(stderr) };
  noteResult(args, ended.stdout);
  noteLog(ended.stderr);
  return ended;
}

/** Starts a program, which is killed at the end of the test if it still runs. */
export function startProcess(t: Test, file: string, args: readonly string[], cwd: string): Running {
  const { TOLLGATE_CONFIG: _, DATABASE_URL: __, ...env } = process.env;
  const child = spawn(file, args, { cwd, env });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  createInterface({ input: child.stdout }).on('line', (line) => noteResult(args, line));
  noteLogOf(child.stderr);
  const ended = once(child, 'close').then(([code]: (number | null)[]) => ({ code: code ?? null, ...output }));
  t.teardown(() => child.kill('SIGKILL'));
  const printed = async (pattern: RegExp, deadlineMs?: number) => {
    const match = await until(
      () => pattern.exec(output.stdout + output.stderr),
      (found) => found !== null || child.exitCode !== null,
      deadlineMs,
    );
    if (match === null) throw new Error(`ended with ${child.exitCode}: ${output.stderr}`);
    return match;
  };
  return { child, ended, printed, stdout: () => output.stdout };
}

/** A gateway logs to stdout; what others print there is for their user alone, and may be a new key. */
function noteResult(args: readonly string[], text: string): void {
  if (args.includes('start')) noteLog(text);
  else noteKeysIn(text);
}

function split(args: string | readonly string[]): readonly string[] {
  return typeof args === 'string' ? args.split(' ') : args;
}
