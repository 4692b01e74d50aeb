// The log: one line for each request, which tells what it was charged. Credentials never reach it: nobody logs header
// fields, and where one would, those that may hold a credential are left out; keys and JWTs in any text are cut out.

import { Writable } from 'node:stream';
import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { withoutCredentials } from './credentials.ts';

const secretFields = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key']);

type Destination = 1 | 2 | DestinationStream;

/** What a pipe takes from several writers without tearing (POSIX, PIPE_BUF of Linux). */
const untornCharacters = 4096;

/** Lines wait for others to be written with, up to so many characters and for so long. */
const togetherCharacters = 16 * 1024;
const togetherMs = 50;

/** `destination`: 1 for stdout, 2 for stderr, or a stream. A worker, one of many writers, puts its number on each line. */
export async function createLogger(log: Config['log'], destination: Destination, worker?: number): Promise<Logger> {
  const options = {
    level: log.level,
    base: worker === undefined ? null : { worker },
    timestamp: timeStamp(),
    // Not pino's own redaction by path, which every line would pay for.
    serializers: { headers: withoutSecrets, err: withoutPacket },
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { streamWrite: withoutCredentials },
  };
  const isShared = worker !== undefined;
  return pino(options, log.format === 'pretty' ? await prettyStream(destination) : plainStream(destination, isShared));
}

/** As pino's own, but made once for all lines of a millisecond. */
function timeStamp(): () => string {
  let lastMs = Number.NaN;
  let text = '';
  return () => {
    const nowMs = Date.now();
    if (nowMs !== lastMs) {
      lastMs = nowMs;
      text = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return text;
  };
}

/** Lines are written while earlier ones are on their way, so that a slow reader does not slow down calls. */
function plainStream(destination: Destination, isShared: boolean): DestinationStream {
  if (typeof destination !== 'number') return destination;
  const characters = isShared ? untornCharacters : togetherCharacters;
  // It writes what has that size, or when it is told to, or when the process ends.
  const size = { minLength: characters - 1, maxWrite: characters };
  return new LinesTogether(pino.destination({ dest: destination, sync: false, ...size }), characters);
}

/** Hands on many lines at a time: for the stream many small pieces are far more work than a large one. */
class LinesTogether {
  readonly #stream: ReturnType<typeof pino.destination>;
  readonly #charactersMax: number;
  #lines: string[] = [];
  #characters = 0;
  #isFlushDue = false;

  constructor(stream: ReturnType<typeof pino.destination>, charactersMax: number) {
    this.#stream = stream;
    this.#charactersMax = charactersMax;
    // Nobody else hands these on, and the stream ends with its own listener.
    process.prependOnceListener('exit', () => this.flushSync());
  }

  write(line: string): void {
    if (this.#characters + line.length > this.#charactersMax) this.#handOn();
    this.#lines.push(line);
    this.#characters += line.length;
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setTimeout(() => this.#flush(), togetherMs).unref();
  }

  /** Pino asks for it after a fatal line. */
  flushSync(): void {
    this.#handOn();
    this.#stream.flushSync();
  }

  #handOn(): void {
    if (this.#lines.length === 0) return;
    this.#stream.write(this.#lines.join(''));
    this.#lines = [];
    this.#characters = 0;
  }

  #flush(): void {
    this.#isFlushDue = false;
    this.#handOn();
    this.#stream.flush();
  }
}

async function prettyStream(destination: Destination): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty');
  const colorize = process.env['NO_COLOR'] === undefined && process.stdout.isTTY === true;
  return pretty({
    destination: typeof destination === 'number' ? destination : streamTo(destination),
    colorize,
    sync: true,
  });
}

/** pino-pretty wants to be told about errors and backpressure; whoever only writes has neither. */
function streamTo(destination: DestinationStream): Writable {
  return new Writable({
    write: (line, _, done) => {
      destination.write(String(line));
      done();
    },
  });
}

function withoutSecrets(headers: Record<string, unknown>): Record<string, unknown> {
  const shown = Object.entries(headers).filter(([name]) => !secretFields.has(name.toLowerCase()));
  return Object.fromEntries(shown);
}

/** Bytes that Node.js could not parse come along with its error: a request, credentials and all. */
function withoutPacket(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { rawPacket: _, ...told } = pino.stdSerializers.err(error);
  return told;
}
