// What is said about a configuration: problems with their place and remedy, collected so that all of them are told at
// once. Nothing that came from a variable or a file, and nothing under a key that holds a secret, is ever part of one.

/** One thing to repair. Line and column count from 1; line 0 means that it is not at a place in the file. */
export interface Problem {
  readonly line: number;
  readonly column: number;
  /** The key, for example `routes[0].cost`; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong, without a full stop. */
  readonly message: string;
  /** What to do, as a sentence without its full stop. */
  readonly remedy: string;
}

/** Everything that is wrong with one file. The message has a line for each: `FILE:LINE:COLUMN: message. Remedy.` */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map((problem) => formatProblem(file, problem)).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** The one line that says a problem: `gateway.yaml:3:9: server.port is 70000. Write a port from 0 to 65535.` */
export function formatProblem(file: string, { line, column, message, remedy }: Problem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `${place}: ${message}. ${remedy}.`;
}
