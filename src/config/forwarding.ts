// The part of the schema that says what is matched and where it goes: `upstreams` and `routes`.

import { Type } from '../schema/type.ts';
import { bodySize, boolean, duration, durationOrZero, headerName, path, text, upstreamUrl } from './kinds.ts';

/** An upstream, written out. */
export const upstreamSchema = Type.Object(
  {
    targets: Type.Array(upstreamUrl('Where it is. A path in the URL is put before the forwarded path.'), {
      description: 'The URL of the upstream, as a list of one.',
      minItems: 1,
      maxItems: 1,
      expects: 'a list with one URL',
    }),
    preserveHost: boolean("Send the client's `Host` instead of the upstream's own.", false),
    connectTimeout: duration('The limit for opening a connection.', '5s'),
    responseHeaderTimeout: duration('The limit from the request to the header of the answer.', '60s'),
    readTimeout: Type.String({
      ...durationOrZero('no limit'),
      description: 'The limit between two reads of an answer; `0` for none.',
      default: '5m',
      examples: ['5m', '0'],
    }),
    tls: Type.Object(
      {
        ca: Type.Optional(
          Type.String(
            text('A PEM file with the certificates to trust instead of the public ones.', 'certs/internal-ca.pem'),
          ),
        ),
        insecureSkipVerify: boolean('Accept any certificate. Never in production.', false),
      },
      { description: 'How an https upstream is verified.' },
    ),
  },
  { description: 'An upstream with its settings.' },
);

const headerRules = (description: string) =>
  Type.Object(
    {
      set: Type.Record(
        Type.String({ ...headerName }),
        Type.String({
          description: 'The value of the field.',
          pattern: '^[\\t\\x20-\\x7e\\x80-\\xff]*$',
          maxLength: 8192,
          expects: 'text on one line',
          examples: ['2024-06-01'],
          secret: true,
        }),
        {
          description: 'Fields to set, in place of what was sent.',
          expectsName: headerName.expects,
        },
      ),
      remove: Type.Array(Type.String({ ...headerName, description: 'A header field.' }), {
        description: 'Fields to remove.',
        default: [],
        expects: 'a list of header fields',
      }),
    },
    { description },
  );

/** A route. */
export const routeSchema = Type.Object(
  {
    path: Type.String({
      ...path,
      description: 'The prefix to match, on segment boundaries; with `exact`, the whole path.',
      examples: ['/v1/chat'],
    }),
    upstream: Type.String({ ...text('The name of the upstream to forward to.', 'api') }),
    exact: boolean('Match the whole path only.', false),
    name: Type.Optional(
      Type.String({
        description: 'The label in logs, metrics and the ledger. When absent: the methods, if listed, and the path.',
        pattern: '^[!-~]([ -~]{0,62}[!-~])?$',
        expects: 'at most 64 printable ASCII characters',
        examples: ['chat'],
      }),
    ),
    methods: Type.Optional(
      Type.Array(
        Type.String({
          description: 'A method.',
          pattern: '^[A-Za-z]+(-[A-Za-z]+)?$',
          expects: 'the name of an HTTP method',
          examples: ['POST'],
        }),
        {
          description: 'The methods to match; all when absent. `HEAD` follows `GET`.',
          minItems: 1,
          maxItems: 64,
          expects: 'a list of methods',
        },
      ),
    ),
    rewritePrefix: Type.Optional(
      Type.String({
        ...path,
        description: 'What replaces the matched prefix on the way to the upstream; the path is kept when absent.',
        examples: ['/v2'],
      }),
    ),
    cost: Type.Integer({
      description: 'The credits that one successful call takes. Not with `auth: none`, which is free.',
      default: 1,
      minimum: 0,
      maximum: 1_000_000_000_000,
      expects: 'a whole number from 0 to 1000000000000',
      examples: [10],
    }),
    auth: Type.Union(
      [
        Type.Array(Type.Enum(['key', 'bearer', 'session'], { expects: 'key, bearer or session' }), {
          minItems: 1,
          maxItems: 3,
        }),
        Type.Enum(['none']),
      ],
      {
        description:
          'Who may call: callers with an API key (`key`), with an access token (`bearer`), who have signed in ' +
          '(`session`), or `none` for anyone, free of charge.',
        default: ['key', 'bearer', 'session'],
        expects: '[key, bearer, session], some of the three, or none',
      },
    ),
    scopes: Type.Array(
      Type.String({
        description: 'A scope.',
        pattern: '^[\\x21\\x23-\\x5b\\x5d-\\x7e]{1,128}$',
        expects: 'a scope: printable characters without blanks, quotes or backslashes',
        examples: ['search:read'],
      }),
      {
        description: 'What a token has to hold, all of it. API keys have no scopes and need none.',
        default: [],
        maxItems: 32,
        expects: 'a list of up to 32 scopes',
      },
    ),
    maxBodySize: Type.Optional(
      Type.String(bodySize("The largest body of a request; 413 above it. The server's when absent.")),
    ),
    readTimeout: Type.Optional(
      Type.String({
        ...durationOrZero('no limit'),
        description: "The limit between two reads of an answer; `0` for none. The upstream's when absent.",
        examples: ['1h', '0'],
      }),
    ),
    headers: Type.Object(
      {
        request: headerRules('Changes to the fields that the upstream gets.'),
        response: headerRules('Changes to the fields that the caller gets.'),
      },
      { description: 'Header fields to change on the way.' },
    ),
  },
  { description: 'A route: what to match, where to forward it, and what it costs.' },
);
