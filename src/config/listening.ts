// The part of the schema that says who connects and how they are met: `server`, `ops` and `cors`.

import { Type } from '../schema/type.ts';
import { bodySize, duration, durationOrZero, headerName, host, port } from './kinds.ts';

const browserUrl = (description: string, example: string) =>
  Type.Optional(
    Type.String({
      description,
      kind: 'URL',
      pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s\\\\@?#/]+(/[^\\s\\\\?#]*)?$',
      maxLength: 512,
      expects: 'an https URL without user, query or fragment',
      examples: [example],
    }),
  );

/** Where clients connect. */
export const serverSchema = Type.Object(
  {
    host: host('The address that clients connect to.'),
    port: port('The port that clients connect to: plain HTTP/1.1. TLS is the work of what stands in front.', 8080),
    workers: Type.Integer({
      description:
        'Processes that share the port, each an instance of its own, so that more than one core is used. One process a pod ' +
        'and more pods is the other way.',
      default: 1,
      minimum: 1,
      maximum: 64,
      expects: 'a whole number from 1 to 64',
      examples: [4],
    }),
    publicUrl: browserUrl(
      'What browsers and identity providers see. A path in it is a prefix that the proxy in front takes away. Needed with ' +
        '`auth.providers`.',
      'https://api.example.com',
    ),
    portalUrl: browserUrl(
      'The same for sign-in and account, on another host, where no upstream is served: scripts of upstreams then share no ' +
        "origin with them. `publicUrl`'s when absent.",
      'https://account.example.com',
    ),
    trustedProxies: Type.Array(
      Type.String({
        description: 'An address or a range.',
        pattern: '^[^\\x00-\\x20\\x7f]+$',
        expects: 'an address such as 10.0.0.7 or a range such as 10.0.0.0/8',
      }),
      {
        description:
          'The addresses of the proxies in front, and ranges of them. Their `X-Forwarded-*` and `Forwarded` are ' +
          'believed; those of anybody else are dropped.',
        default: [],
        maxItems: 1000,
        expects: 'a list of addresses and ranges, such as 10.0.0.0/8',
      },
    ),
    maxBodySize: Type.Optional(
      Type.String(bodySize('The largest body of a request; 413 above it. No limit when absent.')),
    ),
    drainDelay: Type.String({
      ...durationOrZero('none'),
      description:
        'How long calls are still taken after SIGTERM, with `/readyz` at 503, so that balancers can turn away first.',
      default: '0s',
      examples: ['5s'],
    }),
    shutdownTimeout: duration('How long calls in flight may take to end after SIGTERM and `drainDelay`.', '25s'),
  },
  { description: 'Where clients connect.' },
);

/** The operators' door. */
export const opsSchema = Type.Object(
  {
    host: host('The address of the operations listener.'),
    port: port('The port of `/healthz`, `/readyz` and `/metrics`: routes and counts only, never users or keys.', 8081),
  },
  { description: 'Health and metrics, on a port of their own.' },
);

/** Which scripts of browsers may call. */
export const corsSchema = Type.Object(
  {
    origins: Type.Array(
      Type.String({
        description: 'An origin.',
        pattern: '^[!-~]{1,256}$',
        expects: 'an origin such as https://app.example.com, or "*" for any',
      }),
      {
        description: 'The origins whose scripts may call, such as `https://app.example.com`, or `["*"]` for any.',
        minItems: 1,
        maxItems: 1000,
        expects: 'a list of at least one origin',
      },
    ),
    headers: Type.Array(Type.String({ ...headerName, description: 'A header field.', examples: ['X-Api-Key'] }), {
      description: 'The header fields that scripts may send; `["*"]` for any.',
      default: ['*'],
      maxItems: 256,
      expects: 'a list of header fields',
    }),
    maxAge: Type.String({
      ...durationOrZero('not at all'),
      description: 'How long browsers may remember the answer to a preflight. They have shorter limits of their own.',
      default: '10m',
      examples: ['10m'],
    }),
  },
  {
    description: 'Scripts of other origins: with this section the gateway answers preflights itself. Off when absent.',
  },
);
