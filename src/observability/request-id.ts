// The id of a request: the client's own if it is harmless, else a new one.

import type { IncomingMessage } from 'node:http';
import { newId } from '../ids.ts';

const harmless = /^[A-Za-z0-9._-]{1,128}$/;

export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && harmless.test(given) ? given : newId();
}
