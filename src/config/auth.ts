// The part of the schema that says how callers are identified: `auth`.

import Type from 'typebox';
import { boolean, durationOrZero, headerName, text } from './kinds.ts';

/** Signatures with a key pair. None with a shared secret: whoever knows a public key could make them (RFC 8725 §2.1). */
export const algorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const;

const audience = (description: string) =>
  Type.String({ ...text(description, 'https://api.example.com'), maxLength: 512 });

const bearerSchema = Type.Object(
  {
    issuer: Type.String({
      description: 'The issuer, exactly as its tokens name it in `iss`. Its keys are found by discovery.',
      kind: 'URL',
      pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s\\\\@?#/]+(/[^\\s\\\\?#]*)?$',
      maxLength: 512,
      expects: 'an https URL without user, query or fragment',
      examples: ['https://login.example.com/realms/main'],
    }),
    audience: Type.Union(
      [
        audience('What the tokens have to be meant for: their `aud`.'),
        Type.Array(audience('An audience.'), { minItems: 1, maxItems: 32 }),
      ],
      {
        description: 'What a token has to be meant for (`aud`): one of these.',
        expects: 'the audience of your API at the issuer, or a list of up to 32',
      },
    ),
    algorithms: Type.Array(Type.Enum([...algorithms]), {
      description: 'The algorithms that a signature may have. None of them works with a shared secret.',
      default: [...algorithms],
      minItems: 1,
      maxItems: algorithms.length,
      expects: `a list of ${algorithms.join(', ')}`,
    }),
    leeway: Type.String({
      ...durationOrZero('none'),
      description: 'By how much the clocks of issuer and gateway may differ.',
      default: '30s',
      examples: ['30s', '0'],
    }),
    requireType: boolean('Take only tokens that say that they are access tokens (`typ: at+jwt`, RFC 9068).', false),
  },
  { description: 'An issuer of JWT access tokens.' },
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
    bearer: Type.Array(bearerSchema, {
      description: 'The issuers whose access tokens are taken as `Authorization: Bearer`.',
      default: [],
      maxItems: 32,
      expects: 'a list of issuers, each with issuer and audience',
    }),
  },
  { description: 'How callers are identified.' },
);
