// What every example of a deployment is held to: its gateway.yaml is valid, what it runs are commands of ours, and it waits
// for the gateway to stop.

import { PassThrough } from 'node:stream';
import type { Test } from 'tap';
import { createProgram } from '../../src/cli/program.ts';
import { type Config, type ParsedConfig, parseConfig } from '../../src/config/config.ts';
import { closeMaxMs } from '../../src/meter/sync.ts';

/** Parses the gateway.yaml of an example, in which there must be nothing to warn of. */
export function parseGatewayFile(t: Test, text: string, env: Readonly<Record<string, string>>): ParsedConfig {
  const parsed = parseConfig(text, { file: 'gateway.yaml', env });
  t.same(parsed.warnings, [], 'there is nothing to warn of');
  return parsed;
}

/** How long the gateway may take to stop after SIGTERM: it serves on, ends its calls, and hands in the last charges. */
export function stopMaxMs({ server: { drainDelay, shutdownTimeout } }: Config): number {
  return drainDelay + shutdownTimeout + closeMaxMs;
}

/** Passes if the words after `tollgate` begin with a command of the command line. */
export function isCommand(t: Test, [first = '', ...more]: readonly string[]): void {
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const names = createProgram({ env: {}, ...streams }, () => {}).commands.map((command) => command.name());
  t.ok(names.includes(first), `"tollgate ${first}" is a command`);
  t.same(more, [], 'without further words');
}
