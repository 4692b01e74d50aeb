// The command that runs the gateway until it is told to stop.

import { loadConfig } from '../config/config.ts';
import type { Command } from './command.ts';
import { exitCodes } from './failure.ts';
import { stopRequested } from './signals.ts';

export const startCommand: Command = {
  name: 'start',
  summary: 'run the gateway',
  details:
    'Creates the tables or brings them up to date first, unless database.migrate is false. Logs to stdout. SIGTERM and ' +
    'Ctrl-C let calls in flight end within server.shutdownTimeout; a second one ends it at once. ' +
    'Exit code 1: the database did not take the last charges; they stay in the journal of dataDir, and the next start hands them in.',
  examples: ['start', 'start --config /etc/tollgate/gateway.yaml'],
  run: async ({ configFile, env }) => {
    const config = loadConfig({ file: configFile, env });
    const stop = stopRequested();
    // Loaded here alone: operators' commands start faster without a server.
    const { startGateway } = await import('../app.ts');
    const gateway = await startGateway(config);
    await stop;
    const { chargesLeft } = await gateway.close();
    return chargesLeft === 0 ? exitCodes.done : exitCodes.failed;
  },
};
