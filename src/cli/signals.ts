// How a command that runs until it is told to stop learns of it.

import { exitCodes } from './failure.ts';

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves at the first signal to stop; from then on another one ends the process at once, with exit code 1. */
export function stopRequested(beforeEnd: () => void = () => {}): Promise<void> {
  const end = () => {
    beforeEnd();
    process.exit(exitCodes.failed);
  };
  return new Promise((resolve) => {
    const stop = () => {
      for (const signal of stopSignals) process.off(signal, stop).on(signal, end);
      resolve();
    };
    for (const signal of stopSignals) process.on(signal, stop);
  });
}

/** For a process whose parent tells it when to stop: terminals and supervisors send their signals to the whole group. */
export function ignoreStopSignals(): void {
  for (const signal of stopSignals) process.on(signal, () => {});
}
