// The part of the schema that says how people sign in: `auth.session`, `auth.providers`, `auth.allow` and `auth.admins`.

import { Type } from '../schema/type.ts';
import { boolean, duration, providerUrl, text, textOrList } from './kinds.ts';

/** `auth.session` of gateway.yaml. */
export const sessionSchema = Type.Object(
  {
    secret: Type.Optional(
      Type.Union(
        [
          Type.String({ ...text('A secret.', `\${SESSION_SECRET}`), maxLength: 512, secret: true }),
          Type.Array(Type.String({ ...text('A secret.', `\${SESSION_SECRET}`), maxLength: 512, secret: true }), {
            minItems: 1,
            maxItems: 8,
          }),
        ],
        {
          description:
            'What the cookies of a sign-in under way are signed with: a text, or a list of which the first signs and all ' +
            'are good, so that it can be changed. The same on every instance. Needed with `providers`.',
          expects: 'a text, or a list of up to 8',
          secret: true,
        },
      ),
    ),
    maxAge: duration('How long a session lasts at most.', '7d'),
    idleTimeout: duration('How long a session lasts without being used.', '24h'),
  },
  { description: 'Sessions of people who have signed in.' },
);

const claimName = (description: string, byDefault: string) =>
  Type.String({
    ...text(description, byDefault),
    pattern: '^[^.\\s]{1,64}(\\.[^.\\s]{1,64}){0,7}$',
    expects: 'the name of a member of the userinfo document, with dots for members of members',
    default: byDefault,
  });

const mapSchema = Type.Object(
  {
    subject: claimName('What never changes about a person.', 'sub'),
    email: claimName('The address.', 'email'),
    emailVerified: claimName('Whether the provider has verified the address: `true` alone counts.', 'email_verified'),
    name: claimName('The name.', 'name'),
    picture: claimName('The https URL of a picture.', 'picture'),
  },
  { description: 'With `userinfoUrl`: what the members of its document are called.' },
);

const url = (description: string, example: string) =>
  Type.Optional(Type.String({ description, ...providerUrl, examples: [example] }));

const providerSchema = Type.Object(
  {
    clientId: Type.String({ ...text('As which client the gateway is registered.', 'tollgate'), maxLength: 512 }),
    clientSecret: Type.String({
      ...text("That client's secret.", `\${PROVIDER_SECRET}`),
      pattern: '^[\\x20-\\x7e]+$',
      maxLength: 512,
      secret: true,
    }),
    tenant: Type.Optional(
      Type.String({
        description:
          'With `microsoft`: the tenant whose people sign in, by its id or domain; or `common`, `organizations` or ' +
          '`consumers` for those of all.',
        pattern: '^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$',
        expects: 'the id or the domain of a tenant, or common, organizations or consumers',
        examples: ['contoso.onmicrosoft.com'],
      }),
    ),
    issuer: url(
      'An OpenID provider, exactly as it names itself. Everything else is found by discovery.',
      'https://login.example.com/realms/main',
    ),
    authorizationUrl: url(
      'An OAuth 2 provider without OpenID: where people sign in.',
      'https://git.example.com/oauth/authorize',
    ),
    tokenUrl: url('With `authorizationUrl`: where codes are exchanged.', 'https://git.example.com/oauth/token'),
    userinfoUrl: url('With `authorizationUrl`: who has signed in, as JSON.', 'https://git.example.com/api/user'),
    map: Type.Optional(mapSchema),
    scope: textOrList(
      'A scope',
      'What the gateway asks for. By default `openid email profile`; of GitHub `read:user user:email`; of other OAuth 2 ' +
        'providers nothing.',
      'openid email',
    ),
    trustEmail: boolean(
      'Take every address for verified: only where the provider lets nobody write an address that is not theirs.',
      false,
    ),
  },
  { description: 'A provider to sign in with.' },
);

/** `auth.providers` of gateway.yaml. */
export const providersSchema = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$' }),
  providerSchema,
  {
    description:
      'Whom people sign in with, by name. `google`, `github` and `microsoft` are known; others need `issuer`, or the ' +
      'three URLs.',
    expectsName: 'a name of letters, digits, - and _, at most 32',
  },
);

/** `auth.allow` of gateway.yaml. */
export const allowSchema = Type.Object(
  {
    emailDomains: Type.Array(
      Type.String({
        description: 'A domain.',
        pattern: '^(\\*|[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+)$',
        expects: 'a domain such as example.com, or "*" for anyone',
      }),
      {
        description:
          'The domains whose verified addresses may sign in, without their subdomains; `["*"]` for anyone, with an ' +
          'address or without.',
        default: [],
        maxItems: 1000,
        expects: 'a list of domains, or ["*"] for anyone',
      },
    ),
    emails: Type.Array(
      Type.String({
        description: 'An address.',
        pattern: '^[!-?A-~]+@[!-?A-~]+$',
        maxLength: 254,
        expects: 'an address such as ada@example.com',
      }),
      {
        description: 'Verified addresses that may sign in.',
        default: [],
        maxItems: 10_000,
        expects: 'a list of addresses',
      },
    ),
  },
  { description: 'Who may sign in. Needed with `providers`.' },
);

/** `auth.admins` of gateway.yaml. */
export const adminsSchema = Type.Array(
  Type.String({
    description: 'An operator.',
    pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,31}:[!-?A-~]+@[!-?A-~]+$',
    maxLength: 300,
    expects: 'a provider and an address, such as google:ops@example.com',
  }),
  {
    description: 'Operators, as `provider:address`: verified addresses, which may sign in whatever `allow` says.',
    default: [],
    maxItems: 1000,
    expects: 'a list of operators, such as [google:ops@example.com]',
  },
);
