// Runs one command line. A command's result goes to stdout; what went wrong is told on stderr, in one place; the exit
// code is 0 done, 1 failed, 2 wrong usage, 78 invalid configuration.

import { CommanderError } from 'commander';
import { withoutCredentials } from '../observability/credentials.ts';
import type { Host } from './command.ts';
import { exitCodes, type Told, tell } from './failure.ts';
import { createProgram } from './program.ts';

/** Runs one command line, without node and script. Gives the exit code; never rejects. */
export async function runCommandLine(args: readonly string[], host: Host): Promise<number> {
  leaveQuietlyWhenUnread(host);
  let exitCode: number = exitCodes.done;
  const program = createProgram(host, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Help and version that were asked for have been printed; help for want of a command is wrong usage.
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done;
    if (error instanceof CommanderError && error.code === 'commander.help') return exitCodes.usage;
    const told = tell(error);
    report(host, told, args.includes('--json'));
    return told.exitCode;
  }
}

function report({ stderr }: Host, { code, message, exitCode }: Told, isJson: boolean): void {
  // The problems of a configuration begin with their places, one a line: editors and terminals make links of them.
  const text = exitCode === exitCodes.config ? message : `error: ${message}`;
  // Somebody may have typed a key where its id belongs.
  stderr.write(withoutCredentials(`${isJson ? JSON.stringify({ error: { code, message } }) : text}\n`));
}

/** A reader of the result that has seen enough (`| head`) is no failure. */
function leaveQuietlyWhenUnread({ stdout }: Host): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.done);
    throw error;
  });
}
