// What Node's parser lets through and no gateway may: requests that two servers could read in two ways, or that name no
// place. Pure; a request costs one pass over its fields.

import type { ErrorCode } from '../errors.ts';

/** What is read of a request: `node:http`'s IncomingMessage is one. */
export interface ReceivedRequest {
  readonly rawHeaders: readonly string[];
  readonly httpVersion: string;
}

/** The longest target that is forwarded, in bytes: what upstreams in common use still take. */
export const targetBytesMax = 16 * 1024;

/** So many gateways in a row are a circle. */
const gatewaysMax = 8;

/** RFC 9110 §7.2: a name or an address, and a port; empty where the target names no authority. */
const hostPattern = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;

/** Why a request is refused whatever its route, or null. */
export function faultOf(request: ReceivedRequest): ErrorCode | null {
  const { rawHeaders, httpVersion } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'TG_VERSION_UNSUPPORTED';
  let hosts = 0;
  let authorizations = 0;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    // Told by its length first: few fields are compared at all.
    switch (name.length) {
      case 3:
        if (name.toLowerCase() === 'via' && isCircle(rawHeaders[i + 1] ?? '')) return 'TG_LOOP_DETECTED';
        break;
      case 4:
        if (name.toLowerCase() !== 'host') break;
        hosts += 1;
        if (hosts > 1 || !hostPattern.test(rawHeaders[i + 1] ?? '')) return 'TG_REQUEST_MALFORMED';
        break;
      case 6:
        if (name.toLowerCase() !== 'expect') break;
        if (rawHeaders[i + 1]?.toLowerCase() !== '100-continue') return 'TG_EXPECTATION_FAILED';
        break;
      case 13:
        if (name.toLowerCase() !== 'authorization') break;
        authorizations += 1;
        if (authorizations > 1) return 'TG_REQUEST_MALFORMED';
        break;
      case 17:
        // Another coding under the chunks would be lost on the way (RFC 9112 §6.1).
        if (name.toLowerCase() !== 'transfer-encoding') break;
        if (httpVersion === '1.0' || rawHeaders[i + 1]?.toLowerCase() !== 'chunked') return 'TG_REQUEST_MALFORMED';
        break;
    }
  }
  return hosts === 0 && httpVersion === '1.1' ? 'TG_REQUEST_MALFORMED' : null;
}

function isCircle(via: string): boolean {
  return via.split('tollgate').length > gatewaysMax;
}

/** Whether a host is one that a request may name, in `Host` or in an absolute target. */
export function isHost(host: string): boolean {
  return hostPattern.test(host);
}

/** A request target in the form that is matched and forwarded. `host` is its authority, null where it names none. */
export interface Target {
  readonly path: string;
  readonly host: string | null;
}

/** Path and query of a target; an absolute one (RFC 9112 §3.2.2) names its host as well. */
export function readTarget(target: string): Target {
  if (target.charCodeAt(0) === 0x2f) return { path: target, host: null };
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/is.exec(target);
  if (absolute === null) return { path: target, host: null };
  const [, host = '', rest = ''] = absolute;
  return { path: rest.startsWith('/') ? rest : `/${rest}`, host };
}
