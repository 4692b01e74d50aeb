// A gateway of the bench: `tollgate start` in a process of its own, as its users start one, default logging included.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from '../free-port.ts';
import { type Program, startProgram } from './programs.ts';

const readyMsMax = 60_000;
const lookEveryMs = 20;

export interface GatewayTerms {
  readonly database: string;
  /** For its files. */
  readonly folder: string;
  readonly upstream: string;
  readonly core: string | null;
  /** What else the configuration says, by its sections. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly workers?: number;
  readonly isPublic?: boolean;
  /** How often it is asked whether it is ready. */
  readonly lookEveryMs?: number;
  /** See `ProgramTerms`; with it, the gateway can be asked what the script answers. */
  readonly preload?: string;
}

export interface Gateway {
  readonly url: string;
  readonly program: Program;
  /** From the start of its process until it was ready. */
  readonly readyMs: number;
  /** The sum of a metric over its labels. */
  metric(name: string): Promise<number>;
  /** Waits until a metric has this value. Throws when it takes too long. */
  untilMetric(name: string, value: number): Promise<void>;
}

/** Starts it and waits until it is ready. It ends with `program.stop`. */
export async function startGateway(terms: GatewayTerms): Promise<Gateway> {
  const { database, folder, upstream, core, config = {}, workers = 1, isPublic = false, preload = null } = terms;
  const [port, opsPort] = [await freePort(), await freePort()];
  const file = join(folder, 'gateway.yaml');
  const document = {
    server: { host: '127.0.0.1', port, workers },
    ops: { host: '127.0.0.1', port: opsPort },
    database: { url: database },
    dataDir: folder,
    upstreams: { api: upstream },
    routes: [{ path: '/', upstream: 'api', ...(isPublic && { auth: 'none' }) }],
    ...config,
  };
  // JSON is YAML too.
  await writeFile(file, JSON.stringify(document));
  const options = { core, hasChannel: preload !== null, preload };
  const beginMs = performance.now();
  const program = startProgram('../../src/cli.js', ['start', '--config', file], options);
  const metric = (name: string) => readMetric(`http://127.0.0.1:${opsPort}/metrics`, name);
  await until(program, 'ready', () => isGood(`http://127.0.0.1:${opsPort}/readyz`), terms.lookEveryMs);
  const readyMs = performance.now() - beginMs;
  return {
    url: `http://127.0.0.1:${port}`,
    program,
    readyMs,
    metric,
    untilMetric: (name, value) =>
      until(program, `at ${name} ${value}`, async () => (await metric(name).catch(() => null)) === value),
  };
}

async function readMetric(url: string, name: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const lines = text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'));
  return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
}

function isGood(url: string): Promise<boolean> {
  return fetch(url).then(
    (answer) => answer.ok,
    () => false,
  );
}

async function until(
  program: Program,
  what: string,
  isSo: () => Promise<boolean>,
  everyMs = lookEveryMs,
): Promise<void> {
  const endMs = performance.now() + readyMsMax;
  while (!(await isSo())) {
    program.ended.throwIfAborted();
    if (performance.now() > endMs) throw new Error(`Tollgate was not ${what} after ${readyMsMax} ms`);
    await setTimeout(everyMs);
  }
}
