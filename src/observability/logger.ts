// The log: one line for each request and one for each credit operation. Credentials never reach it: nobody logs header
// fields, and where one would, those that may hold a credential are left out; keys and JWTs in any text are cut by their
// shape. Tokens without one cannot be told from other text.

import { Writable } from 'node:stream';
import pino, { type DestinationStream, type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/config.ts';

const secretFields = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key']);

type Destination = 1 | 2 | DestinationStream;

/** What a pipe takes from several writers without tearing (POSIX, PIPE_BUF of Linux). */
const untornCharacters = 4096;

/** `destination`: 1 for stdout, 2 for stderr, or a stream. A worker, one of many writers, puts its number on each line. */
export function createLogger(log: Config['log'], destination: Destination, worker?: number): Logger {
  const options = {
    level: log.level,
    base: worker === undefined ? null : { worker },
    timestamp: pino.stdTimeFunctions.isoTime,
    // Not pino's own redaction by path, which every line would pay for.
    serializers: { headers: withoutSecrets, err: withoutPacket },
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { streamWrite: withoutCredentials },
  };
  const isShared = worker !== undefined;
  return pino(options, log.format === 'pretty' ? prettyStream(destination) : plainStream(destination, isShared));
}

/** Lines are written while earlier ones are on their way, so that a slow reader does not slow down calls. */
function plainStream(destination: Destination, isShared: boolean): DestinationStream {
  if (typeof destination !== 'number') return destination;
  return pino.destination({ dest: destination, sync: false, ...(isShared && { maxWrite: untornCharacters }) });
}

function prettyStream(destination: Destination): DestinationStream {
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

/** The whole run of characters, because a key may begin in the middle of what looks like one. */
const keyShape = /tg_\w{38,}/g;

/** Words with dots between them. Each begins where no word is under way, so that finding them takes linear time. */
const dottedWords = /(?<![\w-])[\w-]+(?:\.[\w-]*){2,}/g;

/** `eyJ` is how `{"` looks in base64url: the header of a JWT. */
const tokenStart = 'eyJ';

/** A text without the API keys and JWTs in it. */
export function withoutCredentials(text: string): string {
  const keyless = text.includes('tg_') ? text.replace(keyShape, 'tg_[redacted]') : text;
  return keyless.includes(tokenStart) ? keyless.replace(dottedWords, withoutToken) : keyless;
}

/** What stands before the token stays: `%20` has no blank after it. */
function withoutToken(words: string): string {
  const start = words.indexOf(tokenStart);
  if (start === -1 || words.slice(start).split('.').length < 3) return words;
  return `${words.slice(0, start)}[redacted token]`;
}

/** As often as this a path is decoded: some clients encode what is encoded already. */
const decodingsMax = 2;

/** A path as it was sent; where it holds a credential with characters in percent-encoding, decoded and without it. */
export function pathWithoutCredentials(path: string): string {
  let decoded = path;
  for (let decodings = 0; decodings < decodingsMax && decoded.includes('%'); decodings++) {
    decoded = decoded.replaceAll(/%[0-9a-f]{2}/gi, decodedWhereHarmless);
  }
  const cut = withoutCredentials(decoded);
  return cut === decoded ? path : cut;
}

/** What credentials consist of, and the percent sign itself: nothing that could change how a line of the log reads. */
function decodedWhereHarmless(code: string): string {
  const character = String.fromCharCode(Number.parseInt(code.slice(1), 16));
  return /[\w.%-]/.test(character) ? character : code;
}
