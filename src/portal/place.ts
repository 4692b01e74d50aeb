// Where the portal is, as browsers see it, and what they may do with its pages.

import type { FastifyRequest } from 'fastify';
import type { PortalOptions } from './page.ts';

/** What the paths of the portal begin with: `/_tollgate`, with the prefix of the proxy in front. */
export function baseOf({ server }: Pick<PortalOptions['config'], 'server'>): string {
  return `${server.portalPlace?.path ?? ''}/_tollgate`;
}

/** Sign-in takes no longer ones. */
const returnToLengthMax = 512;

/** Where somebody comes back to after signing in: the page that they asked for. */
export function returnToOf(base: string, { target }: FastifyRequest): string {
  const path = base.slice(0, -'/_tollgate'.length) + target;
  return path.length <= returnToLengthMax ? path : `${base}/`;
}

/** Fields of every page. Nothing is inline, and nothing comes from elsewhere. */
export const pageFields = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
    "base-uri 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
} as const;
