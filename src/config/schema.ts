// The one source of every configuration key: the TypeScript type of a file that has been read, the JSON Schema for
// editors and the table in docs/configuration.md are all derived from the schema below. `description` and `examples`
// are for people; `expects` completes the sentence "Write …" in an error; `secret` keeps a value out of every
// message. A key with a default is always there once the file has been read, so its type is not optional.

import { type Static, Type } from '../schema/type.ts';
import { authSchema } from './auth.ts';
import { routeSchema, upstreamSchema } from './forwarding.ts';
import { boolean, text, upstreamUrl } from './kinds.ts';
import { corsSchema, opsSchema, serverSchema } from './listening.ts';

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
        kind: 'URL',
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
      description: 'The most PostgreSQL connections that each process opens.',
      default: 10,
      minimum: 1,
      maximum: 1000,
      expects: 'a whole number from 1 to 1000',
      examples: [10],
    }),
    migrate: boolean('Whether `start` brings the tables up to date first.', true),
    whenDown: Type.Enum(['serve', 'refuse'], {
      description:
        'What becomes of calls while the database does not answer. `serve` goes on for the callers of the last day, by ' +
        'credits that this process has reserved and a bounded allowance; `refuse` answers 503.',
      default: 'serve',
    }),
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

const journalSchema = Type.Object(
  {
    fsync: Type.Enum(['always', 'interval', 'never'], {
      description:
        'When settled charges are forced to the disk: at the end of each turn of the event loop, each 100 ms, or as the ' +
        'system likes. It matters when the power fails, not when the process does.',
      default: 'interval',
    }),
  },
  { description: 'The journal, in which charges are kept until the database has them.' },
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
    journal: journalSchema,
    plans: Type.Record(
      Type.String({ pattern: '^[^\\s\\x00-\\x1f\\x7f]([^\\x00-\\x1f\\x7f]{0,62}[^\\s\\x00-\\x1f\\x7f])?$' }),
      planSchema,
      { description: 'The plans, by name.', expectsName: 'a name of at most 64 characters' },
    ),
    defaultPlan: Type.String({
      ...text('The plan of a new user: a key of `plans`, or `Basic`.', 'Basic'),
      default: 'Basic',
    }),
    topUpUrl: Type.Optional(
      Type.String({
        description: 'Where credits are bought: sent as `Link: …; rel="payment"` with a 402.',
        kind: 'URL',
        pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s<>"]+$',
        expects: 'an http or https URL',
        examples: ['https://example.com/billing'],
      }),
    ),
    auth: authSchema,
    cors: Type.Optional(corsSchema),
    upstreams: Type.Record(
      Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$' }),
      Type.Union([upstreamUrl('The URL alone, with every setting at its default.'), upstreamSchema], {
        expects: 'a URL without user, query or fragment, or a mapping with targets',
      }),
      {
        description: 'The APIs behind the gateway, by name.',
        minProperties: 1,
        expects: 'at least one upstream below it, for example api: http://127.0.0.1:4000',
        expectsName: 'a name of letters, digits, - and _, at most 64',
      },
    ),
    routes: Type.Array(routeSchema, {
      description: 'What to match. The longest matching path decides, wherever it stands in the list.',
      minItems: 1,
      maxItems: 1000,
      expects: 'a list of at least one route',
    }),
  },
  {
    description: 'The configuration of Tollgate.',
    expects: 'upstreams and routes, as in gateway.example.yaml',
  },
);

/** A file that has been read: every key that has a default is there; durations and URLs are still text. */
export type ConfigFile = Static<typeof configSchema>;

/** What could be read of a file with problems: anything may be missing. */
export type Draft<T> = T extends object ? { [K in keyof T]?: Draft<T[K]> | undefined } : T | undefined;
