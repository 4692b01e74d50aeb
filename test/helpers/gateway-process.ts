// A whole gateway in a process of its own, on SQLite in a folder of its own, with one user and a key: for what has to be
// seen from outside, such as its memory and its death.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { noteCredential, noteLog } from './evidence.ts';
import type { Settings } from './gateways.ts';
import { until } from './until.ts';

const program = resolve('dist/src/cli.js');
const user = 'ann@example.com';
const credits = 1_000_000_000;
/** A process that may take what the machine has grows for long before it tidies up: a leak would hide in that. */
const memoryLimits = ['--max-old-space-size=96', '--max-semi-space-size=2'];

export class GatewayProcess {
  readonly key: string;
  /** What it logged that no request may bring about: errors, and what did not look like a line of the log. */
  readonly complaints: string[] = [];
  readonly #folder: string;
  #child: ChildProcess;
  #address: string | null = null;
  #opsAddress: string | null = null;
  #logged = 0;

  private constructor(folder: string, key: string) {
    this.#folder = folder;
    this.key = key;
    this.#child = this.#spawn();
  }

  #spawn(): ChildProcess {
    const args = [...memoryLimits, program, 'start'];
    const child = spawn(process.execPath, args, { cwd: this.#folder, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const output of [child.stdout, child.stderr]) {
      if (output !== null) createInterface({ input: output }).on('line', (line) => this.#read(line));
    }
    return child;
  }

  async #untilReady(): Promise<void> {
    await until(
      () => this.#address,
      (address) => address !== null || !this.isAlive,
    );
  }

  /** Makes the user and starts the gateway in front of the upstream. Calls cost 1 credit, those on `/dear` 7. */
  static async start(upstreamUrl: string, settings: Settings = {}): Promise<GatewayProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'tollgate-process-'));
    await writeFile(join(folder, 'gateway.yaml'), configFor(upstreamUrl, settings));
    await run(folder, ['users', 'create', user]);
    const { key } = JSON.parse(await run(folder, ['keys', 'create', user, '--json']));
    const gateway = new GatewayProcess(folder, noteCredential(key));
    await gateway.#untilReady();
    return gateway;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get port(): number {
    return Number(new URL(this.#address ?? '').port);
  }

  /** Asks for a path as an ordinary client, and returns the status. */
  async call(path: string): Promise<number> {
    const answer = await fetch(`${this.#address}${path}`, { headers: { 'x-api-key': this.key } });
    await answer.arrayBuffer();
    return answer.status;
  }

  /** The value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const metrics = await (await fetch(`${this.#opsAddress}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1]);
  }

  /** Bytes of memory that the process really has. */
  async residentBytes(): Promise<number> {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(this.#child.pid)]);
    return Number(stdout) * 1024;
  }

  /** Files and connections that it has open; null where the system does not tell. */
  async openFiles(): Promise<number | null> {
    return readdir(`/proc/${this.#child.pid}/fd`).then(
      ({ length }) => length,
      () => null,
    );
  }

  /** Ends it as an operator would, and returns its exit code. */
  async stop(): Promise<number | null> {
    const closed = new Promise<number | null>((done) => this.#child.once('close', done));
    this.#child.kill('SIGTERM');
    return closed;
  }

  /** Ends it as a power switch would, and starts it again with the files that it has left. */
  async crash(): Promise<void> {
    const closed = new Promise((done) => this.#child.once('close', done));
    this.#child.kill('SIGKILL');
    await closed;
    this.#address = null;
    this.#child = this.#spawn();
    await this.#untilReady();
  }

  /** Credits that the user has spent, by the log and by the balance. Rejects when an audit finds a difference. */
  async spent(): Promise<{ logged: number; booked: number }> {
    await run(this.#folder, ['audit']);
    const shown = JSON.parse(await run(this.#folder, ['users', 'show', user, '--json']));
    return { logged: this.#logged, booked: credits - shown.credits };
  }

  /** Ends it whatever it does, and removes its folder. */
  async remove(): Promise<void> {
    this.#child.kill('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }

  #read(line: string): void {
    noteLog(line);
    if (!line.startsWith('{')) {
      this.complaints.push(line);
      return;
    }
    const { level, msg, charge, cost, address, opsAddress } = JSON.parse(line);
    if (level === 'error' || level === 'fatal') this.complaints.push(line);
    if (charge !== undefined) this.#logged += cost;
    if (msg !== 'tollgate is ready') return;
    this.#opsAddress = opsAddress;
    this.#address = address;
  }
}

async function run(folder: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args], { cwd: folder });
  noteLog(stderr);
  return stdout;
}

function configFor(upstreamUrl: string, { server = '', upstream = '' }: Settings): string {
  return [
    `server: { host: 127.0.0.1, port: 0, shutdownTimeout: 5s, ${server} }`,
    'ops: { host: 127.0.0.1, port: 0 }',
    'database: { url: "sqlite:test.db" }',
    `plans: { Basic: { startingCredits: ${credits} } }`,
    `upstreams: { api: { targets: ["${upstreamUrl}"], ${upstream} } }`,
    'routes:',
    '  - { path: /, upstream: api }',
    '  - { path: /dear, upstream: api, cost: 7 }',
  ].join('\n');
}
