// The one source of every configuration key: the TypeScript type of a file that has been read, the JSON Schema for
// editors and the table in docs/configuration.md are all derived from the schema below. `description` and `examples`
// are for people; `expects` completes the sentence "Write …" in an error; `secret` keeps a value out of every
// message. A key with a default is always there once the file has been read, so its type is not optional.

import Type, { type Static } from 'typebox';

const boolean = (description: string, byDefault: boolean) =>
  Type.Boolean({ description, default: byDefault, expects: 'true or false' });

const duration = (description: string, byDefault: string) =>
  Type.String({
    description,
    default: byDefault,
    pattern: '^\\d{1,9}(ms|s|m|h|d)$',
    expects: 'a number with its unit (ms, s, m, h or d)',
    examples: ['250ms', '30s', '5m'],
  });

const port = (description: string, byDefault: number) =>
  Type.Integer({
    description,
    default: byDefault,
    minimum: 0,
    maximum: 65_535,
    expects: 'a port from 0 to 65535 (0 takes a free one)',
    examples: [byDefault],
  });

const host = (description: string) =>
  Type.String({
    description,
    default: '0.0.0.0',
    pattern: '^[A-Za-z0-9._:%-]{1,255}$',
    expects: 'a host name or an IP address without brackets',
    examples: ['127.0.0.1', '::'],
  });

const text = (description: string, example: string) => ({
  description,
  pattern: '^[^\\x00-\\x1f\\x7f]+$',
  expects: 'some text on one line',
  examples: [example],
});

const headerName = {
  pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
  expects: 'the name of a header field',
  examples: ['X-Api-Version'],
};

const serverSchema = Type.Object(
  {
    host: host('The address that clients connect to.'),
    port: port('The port that clients connect to: plain HTTP/1.1. TLS is the work of what stands in front.', 8080),
    shutdownTimeout: duration('How long calls in flight may take to end after SIGTERM.', '25s'),
  },
  { description: 'Where clients connect.' },
);

const opsSchema = Type.Object(
  {
    host: host('The address of the operations listener.'),
    port: port('The port of `/healthz`, `/readyz` and `/metrics`: routes and counts only, never users or keys.', 8081),
  },
  { description: 'Health and metrics, on a port of their own.' },
);

const logSchema = Type.Object(
  {
    level: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      description: 'The least important level that is logged.',
      default: 'info',
    }),
    format: Type.Enum(['json', 'pretty'], {
      description: 'One JSON object a line, or `pretty` for terminals.',
      default: 'json',
    }),
  },
  { description: 'What is logged, and how.' },
);

const databaseSchema = Type.Object(
  {
    url: Type.Optional(
      Type.String({
        description:
          '`sqlite:PATH` or `postgres://…`. When the key is absent, `DATABASE_URL` decides, and without that it is ' +
          '`tollgate.db` in `dataDir`.',
        pattern: '^(sqlite:(?!//).+|postgres(ql)?://.+)$',
        expects: 'sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE, special characters percent-encoded',
        examples: ['postgres://tollgate@127.0.0.1:5432/tollgate'],
        secret: true,
      }),
    ),
    schema: Type.String({
      description: 'The PostgreSQL schema that holds the tables.',
      default: 'public',
      pattern: '^[A-Za-z_][A-Za-z0-9_]{0,62}$',
      expects: 'letters, digits and underscores',
      examples: ['tollgate'],
    }),
    poolSize: Type.Integer({
      description: 'The most PostgreSQL connections that this process opens.',
      default: 10,
      minimum: 1,
      maximum: 1000,
      expects: 'a whole number from 1 to 1000',
      examples: [10],
    }),
    migrate: boolean('Whether `start` brings the tables up to date first.', true),
  },
  { description: 'Where users, credits and the ledger are kept.' },
);

const planSchema = Type.Object(
  {
    startingCredits: Type.Integer({
      description: 'The credits that a new user of this plan begins with.',
      default: 5000,
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      expects: `a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`,
      examples: [50_000],
    }),
  },
  { description: 'A named set of starting credits. `Basic` is always there.' },
);

const authSchema = Type.Object(
  {
    apiKeys: Type.Object(
      {
        headers: Type.Array(Type.String({ ...headerName, description: 'A header field.', examples: ['x-api-key'] }), {
          description: 'The header fields in which an API key is looked for, in this order.',
          default: ['authorization', 'x-api-key'],
          minItems: 1,
          maxItems: 8,
          expects: 'a list of 1 to 8 header fields',
        }),
      },
      { description: 'API keys.' },
    ),
  },
  { description: 'How callers are identified.' },
);

const upstreamUrl = (description: string) =>
  Type.String({
    description,
    pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s\\\\@?#]+$',
    expects: 'http://HOST:PORT or https://HOST/PATH, without user, query or fragment',
    examples: ['http://127.0.0.1:4000'],
    secret: true,
  });

const upstreamSchema = Type.Object(
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
      description: 'The limit between two reads of an answer; `0` for none.',
      default: '5m',
      pattern: '^(0|\\d{1,9}(ms|s|m|h|d))$',
      expects: 'a number with its unit (ms, s, m, h or d), or 0 for no limit',
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

const path = {
  pattern: '^/[!-~]{0,255}$',
  expects: 'a path that begins with / and has at most 256 characters, others than plain ASCII percent-encoded',
};

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
        { description: 'Fields to set, in place of what was sent.' },
      ),
      remove: Type.Array(Type.String({ ...headerName, description: 'A header field.' }), {
        description: 'Fields to remove.',
        default: [],
        expects: 'a list of header fields',
      }),
    },
    { description },
  );

const routeSchema = Type.Object(
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
    auth: Type.Union([Type.Array(Type.Enum(['key'])), Type.Enum(['none'])], {
      description: 'Who may call: callers with an API key, or `none` for anyone, free of charge.',
      default: ['key'],
      expects: '[key] or none',
    }),
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

/** The schema of gateway.yaml. */
export const configSchema = Type.Object(
  {
    server: serverSchema,
    ops: opsSchema,
    log: logSchema,
    database: databaseSchema,
    dataDir: Type.String({
      ...text('The folder of the SQLite file and what else this process keeps.', 'data'),
      default: 'data',
    }),
    plans: Type.Record(
      Type.String({
        pattern: '^[^\\s\\x00-\\x1f\\x7f]([^\\x00-\\x1f\\x7f]{0,62}[^\\s\\x00-\\x1f\\x7f])?$',
        expects: 'a name of at most 64 characters',
      }),
      planSchema,
      { description: 'The plans, by name.' },
    ),
    defaultPlan: Type.String({
      ...text('The plan of a new user: a key of `plans`, or `Basic`.', 'Basic'),
      default: 'Basic',
    }),
    topUpUrl: Type.Optional(
      Type.String({
        description: 'Where credits are bought: sent as `Link: …; rel="payment"` with a 402.',
        pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s<>"]+$',
        expects: 'an http or https URL',
        examples: ['https://example.com/billing'],
      }),
    ),
    auth: authSchema,
    upstreams: Type.Record(
      Type.String({
        pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$',
        expects: 'a name of letters, digits, - and _, at most 64',
      }),
      Type.Union([upstreamUrl('The URL alone, with every setting at its default.'), upstreamSchema]),
      { description: 'The APIs behind the gateway, by name.', minProperties: 1 },
    ),
    routes: Type.Array(routeSchema, {
      description: 'What to match. The longest matching path decides, wherever it stands in the list.',
      minItems: 1,
      maxItems: 1000,
      expects: 'a list of at least one route',
    }),
  },
  { description: 'The configuration of Tollgate.' },
);

/** A file that has been read: every key that has a default is there; durations and URLs are still text. */
export type ConfigFile = Static<typeof configSchema>;
