// Progress of long work, on stderr: a bar on a terminal, a line every few seconds elsewhere, nothing with --quiet.

import type { Output } from './output.ts';

/** How often a line is written where there is no terminal. */
const lineEveryMs = 5_000;

export interface Progress {
  /** How much is done by now. */
  update(done: number): void;
  stop(): void;
}

/** Begins to show progress towards `total`, in `unit`. */
export async function startProgress(output: Output, total: number, unit: string): Promise<Progress> {
  if (output.isQuiet || total === 0) return { update: () => {}, stop: () => {} };
  return output.stderr.isTTY === true ? startBar(output, total, unit) : startLines(output, total, unit);
}

async function startBar({ stderr }: Output, total: number, unit: string): Promise<Progress> {
  const { Presets, SingleBar } = await import('cli-progress');
  const format = `[{bar}] {percentage} % | {value}/{total} ${unit} | {eta_formatted} left`;
  const bar = new SingleBar({ format, stream: stderr }, Presets.legacy);
  bar.start(total, 0);
  return { update: (done) => bar.update(done), stop: () => bar.stop() };
}

function startLines(output: Output, total: number, unit: string): Progress {
  let lastAt = performance.now();
  const update = (done: number) => {
    if (performance.now() - lastAt < lineEveryMs && done < total) return;
    lastAt = performance.now();
    output.note(`${done}/${total} ${unit}`);
  };
  return { update, stop: () => {} };
}
