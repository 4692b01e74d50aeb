// The compiled scripts, run as `npm run` runs them.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a script of `scripts/`, by its name without an ending, and waits for its end. Arguments are separated by spaces. */
export function runScript(name: string, args: string): Promise<Ended> {
  const script = fileURLToPath(new URL(`../../scripts/${name}.js`, import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args.split(' ')], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}
