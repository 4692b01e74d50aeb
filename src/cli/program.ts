// The table of commands, and the parser and help that are made of it.

import { Command as Commander } from 'commander';
import { backfillCommand } from './backfill.ts';
import { checkCommand } from './check.ts';
import type { Command, Context, Host } from './command.ts';
import { creditCommands } from './credits.ts';
import { demoCommand } from './demo.ts';
import { exitCodes } from './failure.ts';
import { healthCommand } from './health.ts';
import { historyCommands } from './history.ts';
import { importCommand } from './import-users.ts';
import { keyCommands } from './keys.ts';
import { migrateCommands } from './migrate.ts';
import { openOutput } from './output.ts';
import { startCommand } from './start.ts';
import { userCommands } from './users.ts';
import { verifyCommand } from './verify.ts';
import { readVersion, versionCommand } from './version.ts';

/** Every command, in the order of the help. */
const commands: readonly Command[] = [
  startCommand,
  demoCommand,
  checkCommand,
  ...migrateCommands,
  backfillCommand,
  ...userCommands,
  importCommand,
  ...creditCommands,
  ...keyCommands,
  ...historyCommands,
  verifyCommand,
  healthCommand,
  versionCommand,
];

/** What the groups are about, for the help. */
const groups: Readonly<Record<string, string>> = {
  migrate: 'create, revert and list the tables',
  backfill: 'change many users at once',
  users: 'list, create and change users',
  credits: 'show and move credits',
  keys: 'make and end API keys',
};

const exitCodeHelp = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 78 invalid configuration`;

interface GlobalOptions {
  config?: string;
  json?: true;
  quiet?: true;
}

/** The parser and the help, made of the table. */
export function createProgram(host: Host, onExit: (code: number) => void): Commander {
  const program = configure(new Commander('tollgate'), host)
    .description('A credit meter in front of any HTTP API: charges for calls that succeed.')
    .version(readVersion(), '-V, --version', 'show the version')
    .option('--config <file>', 'configuration (default: $TOLLGATE_CONFIG, or gateway.yaml)')
    .option('--json', 'print the result as one JSON document')
    .option('--quiet', 'no log, progress or remarks on stderr');
  for (const command of commands) addCommand(program, command, host, onExit);
  return program;
}

function addCommand(program: Commander, spec: Command, host: Host, onExit: (code: number) => void): void {
  const [first = '', second] = spec.name.split(' ');
  const parent = second === undefined ? program : groupOf(program, first, host);
  const command = configure(parent.command(second ?? first), host).summary(spec.summary);
  command.description([capitalised(spec.summary), spec.details].filter((text) => text !== undefined).join('. '));
  if (spec.alias !== undefined) command.alias(spec.alias);
  for (const argument of spec.arguments ?? []) command.addArgument(argument);
  for (const option of spec.options ?? []) command.addOption(option);
  const examples = spec.examples.map((example) => `  $ tollgate ${example}`).join('\n');
  command.addHelpText('after', `\nExamples:\n${examples}\n${exitCodeHelp}`);
  command.action(async () => {
    const context = contextOf(program.opts<GlobalOptions>(), host);
    onExit((await spec.run(context, inputOf(command, spec) as never)) ?? exitCodes.done);
  });
}

function groupOf(program: Commander, name: string, host: Host): Commander {
  const found = program.commands.find((command) => command.name() === name);
  if (found !== undefined) return found;
  return configure(program.command(name), host)
    .description(groups[name] ?? '')
    .addHelpText('after', exitCodeHelp);
}

/** Errors are thrown, not printed: they are told in one place. */
function configure(command: Commander, { stdout, stderr }: Host): Commander {
  return command
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: () => {},
    })
    .configureHelp({ showGlobalOptions: true })
    .helpOption('-h, --help', 'show this help');
}

/** What was typed, as one object: arguments by their names, options by theirs. */
function inputOf(command: Commander, spec: Command): Record<string, unknown> {
  const typed = (spec.arguments ?? []).map((argument, i) => [argument.name(), command.processedArgs[i]]);
  return { ...command.opts(), ...Object.fromEntries(typed) };
}

function contextOf({ config, json, quiet }: GlobalOptions, host: Host): Context {
  const { env, stdin } = host;
  const configFile = config ?? (env['TOLLGATE_CONFIG'] || 'gateway.yaml');
  return { configFile, env, stdin, output: openOutput(host, json === true, quiet === true) };
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
