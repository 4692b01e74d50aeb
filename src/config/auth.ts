// The part of the schema that says how callers are identified: `auth`.

import { Type } from '../schema/type.ts';
import { boolean, durationOrZero, headerName, providerUrl, text, textOrList } from './kinds.ts';
import { adminsSchema, allowSchema, providersSchema, sessionSchema } from './sign-in.ts';

/** Signatures with a key pair. None with a shared secret: whoever knows a public key could make them (RFC 8725 §2.1). */
export const algorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const;

const bearerSchema = Type.Object(
  {
    issuer: Type.Optional(
      Type.String({
        description: 'An issuer of JWTs, exactly as its tokens name it in `iss`. Its keys are found by discovery.',
        ...providerUrl,
        examples: ['https://login.example.com/realms/main'],
      }),
    ),
    introspection: Type.Optional(
      Type.String({
        description: 'In place of `issuer`: where to ask about tokens that are no JWT (RFC 7662). Once in the list.',
        ...providerUrl,
        examples: ['https://login.example.com/oauth2/introspect'],
      }),
    ),
    clientId: Type.Optional(Type.String(text('With `introspection`: as which client the gateway asks.', 'tollgate'))),
    clientSecret: Type.Optional(
      Type.String({ ...text("With `introspection`: that client's secret.", `\${INTROSPECTION_SECRET}`), secret: true }),
    ),
    audience: textOrList(
      'An audience',
      'What a token has to be meant for (`aud`): this, or one of these. Required with `issuer`.',
      'https://api.example.com',
    ),
    clients: textOrList(
      'A client',
      'With `introspection`: the clients whose tokens are taken (`client_id`), in place of `audience` or on top of it.',
      'mobile-app',
    ),
    algorithms: Type.Array(Type.Enum([...algorithms]), {
      description: 'With `issuer`: the algorithms that a signature may have. None of them works with a shared secret.',
      default: [...algorithms],
      minItems: 1,
      maxItems: algorithms.length,
      expects: `a list of ${algorithms.join(', ')}`,
    }),
    leeway: Type.String({
      ...durationOrZero('none'),
      description: 'With `issuer`: by how much the clocks of issuer and gateway may differ.',
      default: '30s',
      examples: ['30s', '0'],
    }),
    requireType: boolean(
      'With `issuer`: take only tokens that say that they are access tokens (`typ: at+jwt`, RFC 9068).',
      false,
    ),
  },
  { description: 'An identity provider whose access tokens are taken.' },
);

const adminTokenSchema = Type.Object(
  {
    name: Type.String({
      description: 'Whose token it is: what the ledger names as who changed credits with it.',
      pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$',
      expects: 'a name of letters, digits and . _ @ -, at most 64',
      examples: ['billing'],
    }),
    token: Type.String({
      ...text('The token: 32 random characters or more.', `\${ADMIN_TOKEN}`),
      pattern: '^[!-~]+$',
      maxLength: 512,
      expects: 'text without blanks',
      secret: true,
    }),
  },
  { description: 'A program that may do what operators may.' },
);

/** `auth` of gateway.yaml. */
export const authSchema = Type.Object(
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
    session: sessionSchema,
    providers: providersSchema,
    allow: Type.Optional(allowSchema),
    admins: adminsSchema,
    adminTokens: Type.Array(adminTokenSchema, {
      description: 'Programs that may use the admin API, with these as `Authorization: Bearer`.',
      default: [],
      maxItems: 100,
      expects: 'a list of tokens, each with name and token',
    }),
    bearer: Type.Array(bearerSchema, {
      description: 'Whose access tokens are taken as `Authorization: Bearer`.',
      default: [],
      maxItems: 32,
      expects: 'a list of providers, each with issuer and audience, or with introspection and its client',
    }),
  },
  { description: 'How callers are identified.' },
);
