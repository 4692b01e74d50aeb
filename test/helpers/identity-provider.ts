// A real identity provider in this process: OpenID Connect with discovery, access tokens for the audience that a client
// asks for, as JWTs or as tokens that only it can read, introspection and revocation, and people who sign in.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type AdapterPayload } from 'oidc-provider';
import type { Test } from 'tap';
import { askNobody, askWhoSignsIn, signInSettings } from '../../src/cli/demo-sign-in.ts';
import type { PersonClaims } from '../../src/cli/demo-sign-in-page.ts';
import { noteCredential, noteCredentialIn } from './evidence.ts';

export const audience = 'https://api.example';
const opaqueResource = 'https://opaque.example';
const scopes = ['search:read', 'search:write'];
const secret = 'the secret: of a test';
/** Lets people sign in. */
const signInClient = 'gateway-sign-in';
/** Gets tokens; and asks about those of others. */
const programs = ['program', 'gateway'];

export interface IdentityProvider {
  readonly issuer: string;
  /** Of the client that lets people sign in, with a code, PKCE and one of the allowed addresses. */
  readonly clientId: string;
  /** The secret of every client. */
  readonly secret: string;
  /** Claims by subject, which may change at any time. As is usual, ID tokens hold the subject alone, and userinfo the rest. */
  readonly people: Map<string, PersonClaims>;
  /** The subject that signs in next. */
  signedInAs: string;
  /** Allows one more address to come back to, as one does once a gateway has its port. */
  allowRedirect(uri: string): void;
  /** An access token for the audience, as the client `program` gets it: a JWT, or one that only the provider can read. */
  accessToken(scope?: string, format?: 'jwt' | 'opaque'): Promise<string>;
  revoke(token: string): Promise<void>;
}

export interface IdentityProviderSettings {
  readonly redirectUris?: readonly string[];
  /** Whether people choose on a page who they are; else `signedInAs` comes back at once. */
  readonly interactive?: boolean;
}

/** Listens on a free port until the end of the test. */
export async function startIdentityProvider(
  t: Test,
  { redirectUris = [], interactive = false }: IdentityProviderSettings = {},
): Promise<IdentityProvider> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const people = new Map<string, PersonClaims>([
    ['ann', { name: 'Ann Example', email: 'ann@example.com', email_verified: true }],
  ]);
  const clients = new Map<string, AdapterPayload>(programs.map((id) => [id, program(id)]));
  const allowed = [...redirectUris];
  const register = () => clients.set(signInClient, signInTo(allowed));
  register();
  const provider = new Provider(issuer, await configuration(people, clients));
  noteCredential(secret);
  noteWhatIsGiven(provider);
  server.on('request', ({ headers }) => noteCredentialIn(headers.authorization));
  const post = (path: string, form: Record<string, string>) =>
    fetch(issuer + path, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`program:${encodeURIComponent(secret)}`)}` },
      body: new URLSearchParams(form),
    });
  const self: IdentityProvider = {
    issuer,
    clientId: signInClient,
    secret,
    people,
    signedInAs: 'ann',
    allowRedirect: (uri) => {
      allowed.push(uri);
      register();
    },
    accessToken: async (scope = '', format = 'jwt') => {
      const resource = format === 'jwt' ? audience : opaqueResource;
      const form = { grant_type: 'client_credentials', resource, ...(scope && { scope }) };
      const answer = await post('/token', form);
      const { access_token: token } = (await answer.json()) as { access_token?: string };
      if (token === undefined) throw new Error(`no token: ${answer.status}`);
      return noteCredential(token);
    },
    revoke: async (token) => {
      const { status } = await post('/token/revocation', { token });
      if (status !== 200) throw new Error(`not revoked: ${status}`);
    },
  };
  server.on('request', interactive ? askWhoSignsIn(provider, people) : askNobody(provider, () => self.signedInAs));
  return self;
}

/** Codes with their verifiers, and the tokens that they are good for. */
function noteWhatIsGiven(provider: Provider): void {
  provider.on('authorization.success', (_context, answer) => noteCredentialIn(String(answer?.['code'] ?? '')));
  provider.on('grant.success', ({ oidc, body }) => {
    const { access_token: accessToken, id_token: idToken } = body as Record<string, string | undefined>;
    for (const text of [accessToken, idToken, String(oidc.params?.['code_verifier'] ?? '')]) noteCredentialIn(text);
  });
}

async function configuration(people: Map<string, PersonClaims>, clients: Map<string, AdapterPayload>) {
  const settings = await signInSettings(people, clients);
  return {
    ...settings,
    scopes,
    features: {
      ...settings.features,
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          audience,
          scope: scopes.join(' '),
          accessTokenFormat: resource === opaqueResource ? ('opaque' as const) : ('jwt' as const),
        }),
      },
    },
  };
}

function program(id: string): AdapterPayload {
  return {
    client_id: id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  };
}

function signInTo(redirectUris: readonly string[]): AdapterPayload {
  return {
    client_id: signInClient,
    client_secret: secret,
    grant_types: ['authorization_code'],
    redirect_uris: redirectUris,
    response_types: ['code'],
  };
}
