// What the OpenAPI document says of all operations alike: credentials, errors, and the parts that it falls into.

/** Whom an operation answers: with any credential, with a session alone, or who is an operator. */
export type Audience = 'anybody' | 'any' | 'session' | 'operator';

const description = `The gateway's own API: what callers may ask about themselves, and what operators may do.

A refusal has a status, a code in \`X-Tollgate-Error\`, and a message as \`{ "error": … }\`. Who accepts \`application/problem+json\` is
told in that form (RFC 9457), with the code and what else there is to say. New codes and new members of answers may come at any time.

What is below \`/_tollgate/api/admin\` does not exist for who is no operator: 404. Sign-in, and the paths of operators, are there where the
configuration has them.`;

const tags = [
  { name: 'Account', description: 'What callers have, what happened to it, what they used.' },
  { name: 'Keys', description: "People's own API keys." },
  {
    name: 'Sign-in',
    description:
      'How a session begins and ends, and who has one. What goes wrong on the way is told to browsers as a page.',
  },
  { name: 'Admin', description: 'What operators may ask and do.' },
];

const refusal = {
  type: 'object',
  required: ['error'],
  properties: { error: { type: 'string', description: 'For people.' } },
};

const problem = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'requestId'],
  properties: {
    type: { const: 'about:blank' },
    title: { type: 'string', description: 'The name of the status.' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'For people.' },
    code: { type: 'string', description: 'For programs.', examples: ['TG_INPUT_INVALID'] },
    requestId: { type: 'string', description: "Finds the request in the gateway's log." },
  },
  additionalProperties: { anyOf: [{ type: 'string' }, { type: 'number' }], description: 'What else there is to say.' },
};

const text = { type: 'string' };

const jsonForms = {
  'application/json': { schema: { $ref: '#/components/schemas/Refusal' } },
  'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
};

const refusalIn = (content: object) => ({
  description: 'Any other refusal.',
  headers: {
    'X-Tollgate-Error': { description: 'The code.', required: true, schema: text },
    'X-Request-Id': { description: "Finds the request in the gateway's log.", required: true, schema: text },
    'Retry-After': { description: 'Seconds, with 429 and 503.', schema: text },
    'WWW-Authenticate': { description: 'With 401.', schema: text },
  },
  content,
});

const components = {
  securitySchemes: {
    apiKey: { type: 'http', scheme: 'bearer', bearerFormat: 'tg_…', description: 'An API key.' },
    apiKeyField: {
      type: 'apiKey',
      in: 'header',
      name: 'X-API-Key',
      description: 'The same, in a field of its own. `auth.apiKeys.headers` may name others.',
    },
    accessToken: {
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: 'An access token of a provider below `auth.bearer`, also one that is no JWT.',
    },
    session: {
      type: 'apiKey',
      in: 'cookie',
      name: 'tollgate_session',
      description:
        'The session of who has signed in; over TLS the cookie is `__Host-tollgate_session`. It counts for pages of the ' +
        "portal's own origin, by `Sec-Fetch-Site` or `Origin`, and where a browser opens what only reads.",
    },
    adminToken: { type: 'http', scheme: 'bearer', description: 'A token of `auth.adminTokens`.' },
  },
  schemas: { Refusal: refusal, Problem: problem },
  responses: {
    Refusal: refusalIn(jsonForms),
    PageOrRefusal: refusalIn({ ...jsonForms, 'text/html': { schema: text } }),
  },
};

export const everywhere = {
  title: 'Tollgate',
  description,
  license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  // Relative to where the document is, below whatever path a proxy in front takes away.
  servers: [{ url: '..', description: 'The gateway that has this document.' }],
  tags,
  components,
};

type Requirement = Readonly<Record<string, readonly string[]>>;

/** The credentials with which an operation may be asked: one of them, and where one is empty none. */
export function securityOf(path: string, audience: Audience): readonly Requirement[] {
  const named = (...names: readonly string[]) => names.map((name) => ({ [name]: [] }));
  switch (audience) {
    case 'any':
      return named('apiKey', 'apiKeyField', 'accessToken', 'session');
    case 'session':
      return named('session');
    case 'operator':
      return named('adminToken', 'session');
    default:
      return path.endsWith('/logout') ? [...named('session'), {}] : [];
  }
}
