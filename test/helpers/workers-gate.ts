// A gateway of two workers as a user has it: real processes in front of a real upstream.

import { readFile, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type CommandLine, openCommandLine, type Running } from './command-line.ts';
import type { Dialect, TestDatabase } from './databases.ts';
import { until } from './until.ts';
import { startUpstream } from './upstreams.ts';
import { Wire } from './wire.ts';

/** Three processes, on a machine that does other things as well. */
export const startMaxMs = 60_000;

type LogLine = Readonly<Record<string, unknown>>;

export interface Gate {
  readonly process: Running;
  readonly commands: CommandLine;
  readonly test: TestDatabase;
  /** What the upstream has not answered yet. */
  readonly held: readonly ServerResponse[];
  /** Number → process id, of those that came last. */
  workers(): ReadonlyMap<number, number>;
  pidOf(worker: number): number;
  log(): readonly LogLine[];
  /** Asks for a path on a connection of its own, and gives the status. Rejects when it is cut. */
  call(path: string): Promise<number>;
  /** The value of a metric, by its name with labels. */
  metric(name: string): Promise<number>;
  /** Why /readyz is not 200; empty when it is. */
  obstacles(): Promise<string[]>;
}

/** What a test wants otherwise than usual. */
export interface GateTerms {
  /** Further YAML. */
  readonly more?: string;
  /** Where clients connect; a free port by default. */
  readonly port?: number;
  /** An empty one by default. */
  readonly database?: TestDatabase;
}

/** A gateway of two workers, all ready, by a configuration that was named, in front of an upstream that answers at once, but for `/held`. */
export async function startGate(t: Test, dialect: Dialect, server = '', terms: GateTerms = {}): Promise<Gate> {
  const { more = '', port = 0, database } = terms;
  const held: ServerResponse[] = [];
  const upstream = await startUpstream(t, ({ url }, response) => {
    if (url === '/held') held.push(response);
    else response.end('at once');
  });
  const commands = await openCommandLine(t, dialect, more, database);
  await edit(commands, 'http://127.0.0.1:9', upstream.url);
  await edit(commands, 'port: 0', `port: ${port}, workers: 2, ${server}`);
  await commands.json('users create bob@b.example');
  const { key } = await commands.json<{ key: string }>('keys create bob@b.example');
  const running = commands.start('start --config ./gateway.yaml');
  const log = () => linesOf(running.stdout());
  const ready = () => log().find(({ msg }) => msg === 'tollgate is ready');
  // The last of the workers may tell it after the parent does.
  await until(
    () => ready() !== undefined && workersIn(log()).size === 2,
    (isReady) => isReady,
    startMaxMs,
  );
  const [address, opsAddress] = [String(ready()?.['address']), String(ready()?.['opsAddress'])];
  const call = async (path: string) => {
    const wire = Wire.to(Number(new URL(address).port));
    t.teardown(() => wire.leave());
    wire.send(`GET ${path} HTTP/1.1`, 'Host: h', `X-Api-Key: ${key}`, 'Connection: close', '', '');
    return (await wire.answer()).status;
  };
  const ask = async (path: string) => (await fetch(`${opsAddress}${path}`)).text();
  return {
    ...{ process: running, commands, test: commands.test, held, log, call },
    workers: () => workersIn(log()),
    pidOf: (worker) => {
      const pid = workersIn(log()).get(worker);
      // A signal to 0 is one to this test itself.
      if (pid === undefined) throw new Error(`there is no worker ${worker}`);
      return pid;
    },
    metric: async (name) => {
      const line = (await ask('/metrics')).split('\n').find((each) => each.startsWith(`${name} `));
      return Number(line?.slice(name.length));
    },
    obstacles: async () => JSON.parse(await ask('/readyz')).reasons ?? [],
  };
}

function linesOf(stdout: string): LogLine[] {
  const whole = stdout.slice(0, stdout.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

function workersIn(log: readonly LogLine[]): Map<number, number> {
  const ready = log.filter(({ msg }) => msg === 'a worker is ready');
  return new Map(ready.map(({ worker, pid }) => [Number(worker), Number(pid)]));
}

/** Replaces a part of gateway.yaml. */
export async function edit({ folder }: CommandLine, from: string, to: string): Promise<void> {
  const file = join(folder, 'gateway.yaml');
  const text = await readFile(file, 'utf8');
  if (!text.includes(from)) throw new Error(`${from} is not in ${text}`);
  await writeFile(file, text.replace(from, to));
}

export async function chargesIn({ database }: TestDatabase): Promise<number> {
  const charges = database.db.selectFrom('ledger').where('kind', '=', 'charge');
  const { count } = await charges.select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow();
  return Number(count);
}
