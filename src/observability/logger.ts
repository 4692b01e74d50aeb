// The log: one line for each request and one for each credit operation. Credentials never reach it: nobody logs header
// fields, and where one would, those that may hold a credential are left out; keys in any text are cut by their shape.

import pino, { type DestinationStream, type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/config.ts';

const secretFields = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key']);

/** `destination`: 1 for stdout, 2 for stderr, or a stream. */
export function createLogger(log: Config['log'], destination: 1 | 2 | DestinationStream): Logger {
  const options = {
    level: log.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // Not pino's own redaction by path, which every line would pay for.
    serializers: { headers: withoutSecrets, err: withoutPacket },
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { streamWrite: withoutKeys },
  };
  return pino(options, log.format === 'pretty' ? prettyStream(destination) : plainStream(destination));
}

/** Lines are written while earlier ones are on their way, so that a slow reader does not slow down calls. */
function plainStream(destination: 1 | 2 | DestinationStream): DestinationStream {
  return typeof destination === 'number' ? pino.destination({ dest: destination, sync: false }) : destination;
}

function prettyStream(destination: 1 | 2 | DestinationStream): DestinationStream {
  const colorize = process.env['NO_COLOR'] === undefined && process.stdout.isTTY === true;
  return pretty({ destination, colorize, sync: true });
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

const keyShape = /tg_[0-9A-Za-z]{38}/g;

/** API keys in a text, cut to what is harmless. */
export function withoutKeys(text: string): string {
  return text.includes('tg_') ? text.replace(keyShape, 'tg_[redacted]') : text;
}
