// One gateway in a process of its own, as an operator would run it: `tollgate start` with a configuration file. It can
// be killed, stopped, paused and started again, always on the same data folder. A death that nobody asked for is written
// down, and the gateway started again.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Records } from './records.ts';

export interface GatewayOptions {
  readonly name: string;
  /** Its own: configuration and data. */
  readonly folder: string;
  readonly config: object;
  readonly databaseUrl: string;
  readonly records: Records;
  /** Gets each line that it logs. */
  readonly onLog: (line: string) => void;
}

const program = fileURLToPath(new URL('../../cli.js', import.meta.url));
/** How long a start is tried, and the pause after a try that failed: the database may be away. */
const startMaxMs = 60_000;
const startAgainMs = 500;
/** How long a gateway may take to stop: longer than its own limits. */
const stopMaxMs = 60_000;
const complaintsMax = 5;

export class GatewayProcess {
  readonly name: string;
  readonly #options: GatewayOptions;
  #child: ChildProcess | null = null;
  #address: URL | null = null;
  #opsAddress: URL | null = null;
  #instance = '';
  #isEndWanted = true;
  #lastErrors: string[] = [];

  constructor(options: GatewayOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Where callers connect; null while it is down. */
  get address(): URL | null {
    return this.#address;
  }

  /** The instance that it is: another one after each start, and after it was taken for dead. */
  get instance(): string {
    return this.#instance;
  }

  /** Starts it and waits until it takes calls; tries again while it fails, as a supervisor would, and gives up with a note. */
  async start(): Promise<void> {
    const { folder, config, records } = this.#options;
    // JSON is YAML too. The address of the database is a secret: it goes by the environment.
    await writeFile(join(folder, 'gateway.yaml'), JSON.stringify(config), { mode: 0o600 });
    const startedAtMs = performance.now();
    while (!(await this.#tryStart())) {
      if (performance.now() - startedAtMs > startMaxMs) {
        records.deaths.push(`gateway ${this.name} does not start: ${this.#lastErrors.join(' | ')}`);
        return;
      }
      await setTimeout(startAgainMs);
    }
    records.startsMs.push(performance.now() - startedAtMs);
  }

  /** False when it ended before it took calls. */
  async #tryStart(): Promise<boolean> {
    const { folder, databaseUrl } = this.#options;
    this.#lastErrors = [];
    const child = spawn(process.execPath, [program, 'start'], {
      cwd: folder,
      env: { ...process.env, DATABASE_URL: databaseUrl, TOLLGATE_CONFIG: join(folder, 'gateway.yaml') },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C at the terminal is for the run, which then ends its gateways itself.
      detached: true,
    });
    this.#child = child;
    this.#isEndWanted = false;
    const leaveNone = () => child.kill('SIGKILL');
    process.once('exit', leaveNone);
    const ended = once(child, 'close').then(() => false);
    void ended.then(() => process.off('exit', leaveNone));
    const ready = new Promise<boolean>((resolve) => {
      for (const output of [child.stdout, child.stderr]) {
        createInterface({ input: output }).on('line', (line) => {
          this.#options.onLog(line);
          if (this.#read(line)) resolve(true);
        });
      }
    });
    if (!(await Promise.race([ready, ended]))) return false;
    void ended.then(() => this.#ended(child));
    return true;
  }

  /** Reads a line of its log; true when it says that it takes calls. */
  #read(line: string): boolean {
    if (!line.startsWith('{') || /"level":"(?:error|fatal)"/.test(line)) {
      this.#lastErrors = [...this.#lastErrors, line].slice(-complaintsMax);
    }
    if (line.includes('goes on as a new one')) this.#instance = JSON.parse(line).instance;
    if (!line.includes('"msg":"tollgate is ready"')) return false;
    const { address, opsAddress, instance } = JSON.parse(line);
    this.#instance = instance;
    this.#opsAddress = new URL(opsAddress);
    this.#address = new URL(address);
    return true;
  }

  #ended(child: ChildProcess): void {
    if (child !== this.#child) return;
    this.#address = null;
    if (this.#isEndWanted) return;
    const how = child.signalCode ?? `exit code ${child.exitCode}`;
    const { records } = this.#options;
    records.deaths.push(`gateway ${this.name} ended by itself (${how}): ${this.#lastErrors.join(' | ')}`);
    void this.start();
  }

  /** kill -9, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Tells it to stop and waits until it has; an end that is not exit code 0 is written down. */
  async stop(): Promise<void> {
    const toldAtMs = performance.now();
    const { code, signal } = await this.#end('SIGTERM');
    if (code === 0) return;
    const how = signal ?? `exit code ${code}`;
    this.#options.records.badExits.push({ gateway: this.name, how, toldAtMs, endedAtMs: performance.now() });
  }

  async #end(how: 'SIGKILL' | 'SIGTERM'): Promise<{ code: number | null; signal: string | null }> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return { code: 0, signal: null };
    this.#isEndWanted = true;
    const closed = once(child, 'close');
    child.kill(how);
    const patience = globalThis.setTimeout(() => child.kill('SIGKILL'), stopMaxMs);
    await closed;
    clearTimeout(patience);
    this.#address = null;
    return { code: child.exitCode, signal: child.signalCode };
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** The value of a metric without labels; null when nobody answers. */
  async metric(name: string): Promise<number | null> {
    if (this.#address === null || this.#opsAddress === null) return null;
    const text = await read(new URL('/metrics', this.#opsAddress)).catch(() => '');
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
    return value === undefined ? null : Number(value);
  }
}

function read(url: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent: false, signal: AbortSignal.timeout(5_000) }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.once('end', () => resolve(text)).once('error', reject);
    });
    call.once('error', reject).end();
  });
}
