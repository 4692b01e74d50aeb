// The OpenID provider behind `tollgate demo`, so that sign-in can be tried with nothing to prepare: two people without
// passwords, one client, keys that are new each time.

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Provider } from 'oidc-provider';
import { askWhoSignsIn, signInSettings } from './demo-sign-in.ts';
import type { People } from './demo-sign-in-page.ts';

export interface DemoProvider {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** The address of the one of its people who runs the place. */
  readonly operator: string;
  close(): Promise<void>;
}

const clientId = 'tollgate-demo';

const operator = 'ada@example.com';

const people: People = new Map([
  ['ada', { name: 'Ada Example', email: operator, email_verified: true }],
  ['grace', { name: 'Grace Example', email: 'grace@example.com', email_verified: true }],
]);

/**
 * Starts it on a free port, for a client that people come back to at `redirectUri`. Null where its library is not
 * installed: it is for development, and the image goes without it.
 */
export async function startDemoProvider(host: string, redirectUri: string): Promise<DemoProvider | null> {
  const Provider = await loadProvider();
  if (Provider === null) return null;
  const clientSecret = randomBytes(32).toString('base64url');
  const client = {
    client_id: clientId,
    client_secret: clientSecret,
    grant_types: ['authorization_code'],
    redirect_uris: [redirectUri],
    response_types: ['code' as const],
  };
  const settings = await signInSettings(people, new Map([[clientId, client]]));
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  const issuer = `http://${host}:${(server.address() as AddressInfo).port}`;
  server.on('request', askWhoSignsIn(new Provider(issuer, settings), people));
  return {
    issuer,
    clientId,
    clientSecret,
    operator,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Past the door of the package, which does nothing but print a warning where Node is older than 22. */
async function loadProvider(): Promise<typeof Provider | null> {
  try {
    return (await import('oidc-provider/lib/provider.js')).Provider;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}
