// What went wrong, for the person at the terminal: one clear line that ends in the remedy, a code for scripts, and the
// exit code. Errors that nobody foresaw are told as what they are.

import { CommanderError } from 'commander';
import { ConfigError } from '../config/problems.ts';
import { MigrationError } from '../store/migration-error.ts';
import { faultOf, isUnreachable } from '../store/outage.ts';
import { Refusal, type RefusalCode } from '../store/refusal.ts';
import { WorkerStartError } from '../workers/start-error.ts';

export const exitCodes = { done: 0, failed: 1, usage: 2, config: 78 } as const;

/** Something that a command foresees. The message ends in the remedy. */
export class Failure extends Error {
  readonly code: string;
  readonly exitCode: number;

  constructor(code: string, message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.name = 'Failure';
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** The command was not called rightly. */
export function usageFailure(message: string): Failure {
  return new Failure('USAGE', message, exitCodes.usage);
}

/** What a command's end is told as. */
export interface Told {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
}

const remedies: Record<RefusalCode, string> = {
  USER_NOT_FOUND: 'See "tollgate users list".',
  EMAIL_TAKEN: 'See "tollgate users show" with that address.',
  KEY_NOT_FOUND: 'Give the id of a key (key_…), as "tollgate keys list USER" shows it.',
  KEY_REVOKED: 'Make a new one with "tollgate keys create USER".',
  KEY_EXPIRED: 'Make a new one with "tollgate keys create USER".',
  CREDITS_INSUFFICIENT: 'Deduct less, or give --force to go below 0.',
  CREDITS_RESERVED: 'Try again when they have ended, or give --force to deduct all the same.',
  CREDITS_CHANGED: 'Nothing was set: look at the ledger, then try again.',
  CREDITS_OUT_OF_RANGE: 'Choose a smaller amount.',
  IDEMPOTENCY_KEY_USED: 'Nothing was granted: choose a new key for a new grant.',
  IDEMPOTENCY_KEY_BUSY: 'Try again with the same key in ten seconds: it tells then what came of it.',
};

/** Tells an error. Never shows a stack, nor the password of a database. */
export function tell(error: unknown): Told {
  if (error instanceof Failure) return error;
  if (error instanceof CommanderError) return tellUsage(error);
  if (error instanceof WorkerStartError) return error.told;
  const failed = exitCodes.failed;
  if (error instanceof ConfigError)
    return { code: 'CONFIG_INVALID', message: error.message, exitCode: exitCodes.config };
  if (error instanceof Refusal) {
    return { code: error.code, message: `${error.message}. ${remedies[error.code]}`, exitCode: failed };
  }
  if (error instanceof MigrationError) return { code: 'MIGRATION_REFUSED', message: error.message, exitCode: failed };
  const { code, message } = faultOf(error);
  return { code, message: `${withoutStop(message)}. ${remedyOf(code)}`, exitCode: failed };
}

function tellUsage(error: CommanderError): Told {
  const message = withoutStop(error.message.replace(/^error: (command-argument )?/, ''));
  return { code: 'USAGE', message: `${message}. See --help.`, exitCode: exitCodes.usage };
}

/** System and database errors by their code: what the operator can do about it. */
function remedyOf(code: string): string {
  if (code === 'EADDRINUSE')
    return 'Another program has this port: end it, or choose another in server.port or ops.port.';
  if (code === 'EACCES' || code === 'EPERM') return 'Give this user the right to it, or choose another place or port.';
  if (code === 'ENOENT' || code === 'EISDIR') return 'Check the name of the file.';
  if (code === 'ENOSPC') return 'The disk is full: make room.';
  if (isUnreachable(code)) return 'The database cannot be reached: check that it runs, and database.url.';
  if (code.startsWith('28')) return 'The database refuses the sign-in: check user and password in database.url.';
  if (code.startsWith('3D')) return 'Create the database, or name another in database.url.';
  if (code.startsWith('42501')) return 'Grant the database user the rights on the schema database.schema.';
  if (code.startsWith('53300'))
    return 'The database has no connection left: lower database.poolSize, or raise its limit.';
  if (code.startsWith('SQLITE_BUSY')) return 'Another process holds the database: try again.';
  if (code.startsWith('SQLITE')) return 'Check the file that database.url names.';
  return 'This was not foreseen: please report it with the command that you ran.';
}

function withoutStop(message: string): string {
  return message.replace(/\s*\n\s*/g, ' ').replace(/\.$/, '');
}
