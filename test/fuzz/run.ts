// A run of the fuzz: so many connections with malformed and cut requests, a few at a time, and then the promises: the
// process lives and serves, its memory is flat, no hold and no connection is open, the books are right.

import { connect } from 'node:net';
import { GatewayProcess } from '../helpers/gateway-process.ts';
import { randomFrom } from '../helpers/random.ts';
import { until } from '../helpers/until.ts';
import { goodPath, startOddUpstream } from './odd-upstream.ts';
import { drawCase, type FuzzCase } from './requests.ts';

export interface FuzzOptions {
  readonly requests: number;
  readonly seed: number;
  /** Told after each hundredth of the way. */
  readonly onProgress?: (done: number) => void;
}

export interface FuzzReport {
  /** Connections by the status of their first answer, `none` for those that got none. */
  readonly answers: Readonly<Record<string, number>>;
  /** Resident memory after the first fifth and at the end, in bytes. */
  readonly memory: readonly [early: number, late: number];
  /** Credits that were charged on the way. */
  readonly spent: number;
  /** What was promised and not kept. */
  readonly broken: readonly string[];
}

const connectionsMax = 32;
/** How long a caller who waits does so, and when one who expects the other side to close gives up. */
const waitMs = 40;
const closeMsMax = 5_000;
/** Of the lines of the log that no request may bring about, so many are reported. */
const complaintsMax = 20;
/** The garbage collector lets memory swing by about this much in a process that does this work. */
const growthBytesMax = 64 * 1024 * 1024;

/** Runs it. Rejects only when there is no gateway to ask. */
export async function runFuzz({ requests, seed, onProgress = () => {} }: FuzzOptions): Promise<FuzzReport> {
  const upstream = await startOddUpstream(randomFrom(seed + 1));
  const gateway = await GatewayProcess.start(upstream.url, {
    server: 'maxBodySize: 4kb',
    upstream: 'responseHeaderTimeout: 300ms, readTimeout: 300ms',
  });
  try {
    const filesAtRest = await gateway.openFiles();
    const answers: Record<string, number> = {};
    const random = randomFrom(seed);
    let early = 0;
    let begun = 0;
    const work = async () => {
      while (begun < requests && gateway.isAlive) {
        begun += 1;
        if (begun % Math.ceil(requests / 100) === 0) onProgress(begun);
        if (begun === Math.ceil(requests / 5)) early = await gateway.residentBytes();
        const status = await callOnce(gateway.port, drawCase(random, gateway.key));
        answers[status] = (answers[status] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: connectionsMax }, work));
    if (!gateway.isAlive) {
      const broken = ['the process has died', ...gateway.complaints.slice(0, complaintsMax)];
      return { answers, memory: [early, 0], spent: 0, broken };
    }
    const broken: string[] = [];
    const promise = async (what: string, isKept: () => Promise<unknown>) => {
      await isKept().catch((error: Error) => broken.push(`${what}: ${error.message}`));
    };
    await promise('no hold is open', () =>
      until(
        () => gateway.metric('tollgate_holds_open'),
        (open) => open === 0,
      ),
    );
    await promise('no connection is open', () =>
      until(gateway.openFiles.bind(gateway), (open) => (open ?? 0) <= (filesAtRest ?? 0) + connectionsMax),
    );
    await promise('a good call is served', async () => expect(await gateway.call(goodPath), 200));
    const late = await gateway.residentBytes();
    await promise('memory is flat', async () => {
      if (late - early > growthBytesMax) throw new Error(`${early} bytes have become ${late}`);
    });
    await promise('it ends well', async () => expect(await gateway.stop(), 0));
    let spent = 0;
    await promise('the books are right', async () => {
      const { logged, booked } = await gateway.spent();
      spent = booked;
      expect(booked, logged);
    });
    broken.push(...gateway.complaints.slice(0, complaintsMax).map((line) => `the log complains: ${line}`));
    return { answers, memory: [early, late], spent, broken };
  } finally {
    upstream.close();
    await gateway.remove();
  }
}

function expect(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${actual} instead of ${expected}`);
}

/** One connection from beginning to end. Resolves with the status of its first answer, or `none`. */
function callOnce(port: number, { writes, end }: FuzzCase): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let head = '';
    const patience = setTimeout(() => socket.resetAndDestroy(), closeMsMax);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      if (head.length < 16) head += text.slice(0, 16);
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      clearTimeout(patience);
      resolve(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? 'none');
    });
    socket.once('connect', () => writeOneByOne(writes.values()));
    const writeOneByOne = (rest: IterableIterator<string>) => {
      const { done, value } = rest.next();
      if (done !== true) socket.write(value, 'latin1', () => setImmediate(() => writeOneByOne(rest)));
      else if (end === 'leaves') socket.destroy();
      else if (end === 'resets') socket.resetAndDestroy();
      else if (end === 'half-closes') socket.end();
      else setTimeout(() => socket.resetAndDestroy(), waitMs);
    };
  });
}
