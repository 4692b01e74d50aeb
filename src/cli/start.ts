// The command that runs the gateway until it is told to stop: in this process, or in several that share the port.

import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { Config } from '../config/config.ts';
import type { FilesRead } from '../workers/messages.ts';
import type { Command } from './command.ts';
import { exitCodes, tell } from './failure.ts';
import { ignoreStopSignals, stopRequested } from './signals.ts';

export const startCommand: Command = {
  name: 'start',
  summary: 'run the gateway',
  details:
    'Creates the tables or brings them up to date first, unless database.migrate is false. Logs to stdout. SIGTERM and ' +
    'Ctrl-C let calls in flight end within server.shutdownTimeout; a second one ends it at once. With server.workers ' +
    'above 1 it is the parent of so many processes, and the one to be sent signals. ' +
    'Exit code 1: the database did not take the last charges, which stay in the journal of dataDir for the next start, or ' +
    'a worker ended badly.',
  examples: ['start', 'start --config /etc/tollgate/gateway.yaml'],
  run: async ({ configFile: file, env }) => {
    // Where there is memory, V8 would let four times of what is in use gather before it looks: a gateway has neighbours.
    setFlagsFromString('--heap-growing-percent=50');
    if (cluster.isWorker) return runAsWorker(env);
    const { loadConfig } = await import('../config/config.ts');
    const texts: Record<string, string> = {};
    const readFile = (path: string) => {
      const text = readFileSync(path, 'utf8');
      texts[path] = text;
      return text;
    };
    const config = loadConfig({ file, env, readFile });
    return config.server.workers === 1 ? runAlone(config) : runWorkers(config, { main: file, texts });
  },
};

async function runAlone(config: Config): Promise<number> {
  const stop = stopRequested();
  const { startGateway } = await import('../app.ts');
  const gateway = await startGateway(config);
  await stop;
  const { chargesLeft } = await gateway.close();
  return chargesLeft === 0 ? exitCodes.done : exitCodes.failed;
}

async function runWorkers(config: Config, files: FilesRead): Promise<number> {
  let endNow = () => {};
  const stop = stopRequested(() => endNow());
  const { startWorkers } = await import('../workers/parent.ts');
  const workers = await startWorkers(config, { files, stop });
  endNow = workers.kill;
  await stop;
  return workers.stop();
}

async function runAsWorker(env: NodeJS.ProcessEnv): Promise<number> {
  ignoreStopSignals();
  const { runWorker } = await import('../workers/worker.ts');
  return runWorker({ env, tell });
}
