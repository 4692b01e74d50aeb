// The `traceparent` field (W3C Trace Context): what a valid one is, and a new one for a call that has none.

import { randomSource } from '../ids.ts';

/** Trace id and span id. */
const idBytes = randomSource(24);

/** Whether a value is one valid `traceparent` of version 00, or of a later version that begins like it. */
export function isTraceparent(value: string | string[] | undefined): value is string {
  if (typeof value !== 'string') return false;
  const parts = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/.exec(value);
  if (parts === null) return false;
  const [, version = '', traceId = '', spanId = '', more] = parts;
  return version !== 'ff' && (version !== '00' || more === undefined) && !/^0+$/.test(traceId) && !/^0+$/.test(spanId);
}

/** A new `traceparent`. Sampled, as a call without one would be by the default of most tracers. */
export function createTraceparent(): string {
  const hex = idBytes().toString('hex');
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-01`;
}
