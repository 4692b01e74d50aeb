// The command that shows the product with nothing to prepare.

import { Option } from 'commander';
import type { Command } from './command.ts';
import { parsePort } from './values.ts';

export const demoCommand: Command<{ port?: number }> = {
  name: 'demo',
  summary: 'run a gateway in front of a sample API, with nothing to prepare',
  details:
    'Needs no configuration: SQLite in a temporary folder, a user with 5000 credits and an API key, and in a checkout a ' +
    'local provider to sign in with. Listens on loopback only, on 8080 and 8081 or on free ports. Ctrl-C ends it and ' +
    'leaves nothing behind.',
  options: [new Option('--port <port>', 'where to listen (default: 8080, or a free one)').argParser(parsePort)],
  examples: ['demo', 'demo --port 9000'],
  run: async (context, { port }) => {
    const { runDemo } = await import('./demo-run.ts');
    await runDemo(context, port);
    return undefined;
  },
};
