// A real identity provider in this process: OpenID Connect with discovery, access tokens for the audience that a client
// asks for, as JWTs or as tokens that only it can read, introspection and revocation.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import type { Test } from 'tap';
import { noteCredential, noteCredentialIn } from './evidence.ts';

export const audience = 'https://api.example';
const opaqueResource = 'https://opaque.example';
const scopes = ['search:read', 'search:write'];
const secret = 'the secret: of a test';
/** Gets tokens; and asks about those of others. */
const clients = ['program', 'gateway'];

export interface IdentityProvider {
  readonly issuer: string;
  /** A client's secret. */
  readonly secret: string;
  /** An access token for the audience, as the client `program` gets it: a JWT, or one that only the provider can read. */
  accessToken(scope?: string, format?: 'jwt' | 'opaque'): Promise<string>;
  revoke(token: string): Promise<void>;
}

/** Listens on a free port until the end of the test. */
export async function startIdentityProvider(t: Test): Promise<IdentityProvider> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [await signingKey()] },
    clients: clients.map((id) => ({
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    scopes,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          audience,
          scope: scopes.join(' '),
          accessTokenFormat: resource === opaqueResource ? 'opaque' : 'jwt',
        }),
      },
    },
  });
  noteCredential(secret);
  server.on('request', ({ headers }) => noteCredentialIn(headers.authorization));
  server.on('request', provider.callback());
  const post = (path: string, form: Record<string, string>) =>
    fetch(issuer + path, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`program:${encodeURIComponent(secret)}`)}` },
      body: new URLSearchParams(form),
    });
  return {
    issuer,
    secret,
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
}

async function signingKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: 'rsa', alg: 'RS256', use: 'sig' };
}
