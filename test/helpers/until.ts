// Waiting in tests: for a condition, with a deadline, never for a time.

import { setTimeout } from 'node:timers/promises';

const usualDeadlineMs = 15_000;
const lookEveryMs = 10;

/** Waits until `read` gives something that `isRight` accepts, and returns it; throws with the last value when it never does. */
export async function until<T>(
  read: () => T | Promise<T>,
  isRight: (value: T) => boolean,
  deadlineMs = usualDeadlineMs,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const value = await read();
    if (isRight(value)) return value;
    if (performance.now() > endMs) throw new Error(`still ${JSON.stringify(value)} after ${deadlineMs} ms`);
    await setTimeout(lookEveryMs);
  }
}
