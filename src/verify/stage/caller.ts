// Calls a gateway as a client does, and writes down what came of it: one call at a time, from its request to its end,
// whoever ends it.

import { type Agent, type IncomingMessage, request } from 'node:http';
import type { CallRecord } from './records.ts';

/** How the caller behaves: it reads to the end, or leaves after so many ms, before or in the middle of the answer. */
export interface Errand {
  readonly address: URL;
  readonly path: string;
  readonly secret: string;
  readonly agent: Agent;
  /** Null: it stays. */
  readonly leavesAfterMs: number | null;
}

/** Whoever has waited so long has met a call that hangs. */
export const patienceMs = 40_000;

/** Makes the call; the record is whole when this resolves. Never rejects. */
export function call({ address, path, secret, agent, leavesAfterMs }: Errand, record: CallRecord): Promise<void> {
  return new Promise((resolve) => {
    const headers = { 'x-api-key': secret, 'x-request-id': record.id };
    const end = (how: CallRecord['end']) => {
      if (record.end !== 'open') return;
      record.end = how;
      record.endedAtMs = performance.now();
      clearTimeout(patience);
      if (leaving !== null) clearTimeout(leaving);
      // What has been read to its end gives its connection back; anything else takes it along.
      if (how !== 'whole') sent.destroy();
      resolve();
    };
    const sent = request(new URL(path, address), { agent, headers }, (answer) => {
      note(answer, record);
      answer.on('error', () => end('broken'));
      answer.once('close', () => end(answer.complete ? 'whole' : 'broken'));
      answer.resume();
    });
    sent.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? 'refused' : 'broken'));
    const patience = setTimeout(() => end('hung'), patienceMs);
    const leaving = leavesAfterMs === null ? null : setTimeout(() => end('left'), leavesAfterMs);
    sent.end();
  });
}

function note({ statusCode, headers }: IncomingMessage, record: CallRecord): void {
  const cost = headers['x-credits-cost'];
  record.status = statusCode ?? null;
  record.code = typeof headers['x-tollgate-error'] === 'string' ? headers['x-tollgate-error'] : null;
  record.hasRetryAfter = headers['retry-after'] !== undefined;
  record.costSaid = typeof cost === 'string' ? Number(cost) : null;
}
