// What went wrong with a sign-in, in words for the log. Errors on the way hold codes, tokens and secrets: what is told of
// them is picked out word by word.

import { errors } from 'jose';
import { TollgateError } from '../../errors.ts';
import { ProviderFault } from '../provider-client.ts';

/** What the provider, or somebody in its name, has said is not good. The message is for the log. */
export class Refused extends Error {
  override name = 'Refused';
}

interface Told {
  readonly code?: unknown;
  readonly output?: { readonly statusCode?: unknown };
  readonly data?: { readonly isResponseError?: unknown; readonly payload?: unknown };
}

/** Whether a sign-in is at fault, and not a provider that does not answer. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof Refused || error instanceof errors.JOSEError) return true;
  const status = (error as Told).output?.statusCode;
  return (error as Told).data?.isResponseError === true && typeof status === 'number' && status < 500;
}

/** Why it failed: the library's own codes, a status, and the code that OAuth 2 answers with. */
export function reasonOf(error: unknown): string {
  if (error instanceof Refused || error instanceof ProviderFault) return error.message;
  if (error instanceof TollgateError) return 'the keys of the provider cannot be had';
  if (error instanceof errors.JOSEError) return `the ID token: ${error.message}`;
  const { code, output, data } = error as Told;
  const words = [
    (error as Error).name,
    code,
    output?.statusCode,
    data?.payload === undefined ? '' : codeIn(data.payload),
  ];
  return words.filter((word) => typeof word === 'number' || (typeof word === 'string' && word !== '')).join(' ');
}

/** The error code in an answer (RFC 6749 §5.2), if it looks like one. */
export function codeIn(answer: unknown): string {
  const code = (answer as { readonly error?: unknown } | null)?.error;
  return typeof code === 'string' && /^[a-z_]{1,64}$/.test(code) ? code : 'without a code';
}
