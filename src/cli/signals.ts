// How a command that runs until it is told to stop learns of it.

import { exitCodes } from './failure.ts';

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves at the first signal to stop; from then on another one ends the process at once, with exit code 1. */
export function stopRequested(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      for (const signal of stopSignals) process.off(signal, stop).on(signal, () => process.exit(exitCodes.failed));
      resolve();
    };
    for (const signal of stopSignals) process.on(signal, stop);
  });
}
