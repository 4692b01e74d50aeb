// A worker: one of the processes that share the port. It starts when its parent says so, with the configuration that the
// parent has read, tells how it is doing, and ends when the parent says so, or is gone.

import { strict as assert } from 'node:assert';
import cluster from 'node:cluster';
import { type Gateway, startGateway } from '../app.ts';
import { loadConfig } from '../config/config.ts';
import type { FilesRead, Told, ToParent, ToWorker } from './messages.ts';

/** What a crash takes with it of the metrics is what was counted in so long. */
const reportEveryMs = 1_000;

export interface WorkerOptions {
  /** Where the variables of the configuration are looked up. */
  readonly env: NodeJS.ProcessEnv;
  /** How to tell what stands in the way. */
  readonly tell: (error: unknown) => Told;
}

/** Serves until the parent says stop, or is gone. Gives the exit code; what goes wrong is the parent's to tell. */
export async function runWorker({ env, tell }: WorkerOptions): Promise<number> {
  const stop = watchParent();
  try {
    const word = await firstWord();
    if (word?.type !== 'start') return 0;
    const { main: file, texts } = word.files;
    const config = loadConfig({ file, env, readFile: (path) => textIn(texts, path) });
    const gateway = await startGateway(config, { worker: word.worker });
    const endReports = startReports(gateway);
    try {
      await say({ type: 'ready', address: gateway.address });
      await stop;
      if (!process.connected) gateway.log.warn('the parent of this worker is gone');
      const { chargesLeft } = await gateway.close();
      return chargesLeft === 0 ? 0 : 1;
    } finally {
      await endReports();
    }
  } catch (error) {
    const told = tell(error);
    await say({ type: 'failed', told });
    return told.exitCode;
  } finally {
    if (process.connected) process.disconnect();
  }
}

/** Resolves when the parent says stop, or is gone. */
function watchParent(): Promise<void> {
  // Else Node.js ends this process at once when the parent is gone, with calls in flight and charges in memory.
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
  return new Promise((resolve) => {
    process.once('disconnect', resolve);
    process.on('message', ({ type }: ToWorker) => {
      if (type === 'stop') resolve();
    });
  });
}

/** What the parent answers to the first word from here; null when it is gone. */
async function firstWord(): Promise<ToWorker | null> {
  const word = new Promise<ToWorker | null>((resolve) => {
    process.once('message', resolve);
    process.once('disconnect', () => resolve(null));
  });
  await say({ type: 'hello' });
  return word;
}

function textIn(texts: FilesRead['texts'], path: string): string {
  const text = texts[path];
  assert.ok(text !== undefined, `the parent has read ${path}`);
  return text;
}

/** Returns how to end them, with a last one. */
function startReports({ metrics, obstacles, warnings }: Gateway): () => Promise<void> {
  const report = async (isAnswer: boolean) => {
    const counted = await metrics.registry.getMetricsAsJSON();
    await say({ type: 'report', isAnswer, obstacles: obstacles(), warnings: warnings(), metrics: counted });
  };
  // The next when the last is said: a parent that stands still would have them pile up here.
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const reportOften = async () => {
    await report(false);
    if (!isOver) timer = setTimeout(reportOften, reportEveryMs);
  };
  void reportOften();
  process.on('message', ({ type }: ToWorker) => {
    if (type === 'ask') void report(true);
  });
  return () => {
    isOver = true;
    clearTimeout(timer);
    return report(false);
  };
}

/** Resolves when it is said, or cannot be. */
function say(message: ToParent): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected) resolve();
    else process.send?.(message, undefined, undefined, () => resolve());
  });
}
