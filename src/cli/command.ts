// What a command is: one entry of the table in cli.ts, from which parsing, help and docs/cli.md are made. A command
// gets what was typed as one object, by the names of its arguments and options.

import { Argument, type Option } from 'commander';
import type { Output } from './output.ts';

/** What a command line needs of its process. */
export interface Host {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** What every command gets. */
export interface Context {
  /** The file given by --config, $TOLLGATE_CONFIG, or gateway.yaml. */
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Host['stdin'];
  readonly output: Output;
}

/** One command. `Input` is what was typed, by the names of arguments and options. */
export interface Command<Input = never> {
  /** One word, or a group and a word: `users create`. */
  readonly name: string;
  readonly alias?: string;
  readonly summary: string;
  /** What the summary leaves open, for the help. */
  readonly details?: string;
  readonly arguments?: readonly Argument[];
  readonly options?: readonly Option[];
  /** Command lines without `tollgate `. */
  readonly examples: readonly string[];
  /** Does it. Gives the exit code, 0 when it gives none; throws what went wrong. */
  run(context: Context, input: Input): Promise<number | undefined>;
}

/** USER, as every command takes it. */
export function userArgument(): Argument {
  return new Argument('<user>', 'id, e-mail address or issuer#subject of the user');
}
