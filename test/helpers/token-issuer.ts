// An issuer of access tokens whose every byte is the test's to choose: keys that come and go, tokens that no honest issuer
// would sign, a provider that is down. For what an honest one does, identity-provider.ts runs a real one.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { Test } from 'tap';
import { noteCredential } from './evidence.ts';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export class TokenIssuer {
  readonly url: string;
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  /** The keys that it shows now. */
  shown: JWK[] = [];
  /** Whether it answers with a failure. */
  isDown = false;
  /** In place of its own documents, by path. */
  readonly documents = new Map<string, unknown>();
  readonly audience = 'https://api.example';

  private constructor(url: string) {
    this.url = url;
  }

  /** Listens on a free port until the end of the test, and shows one key, `first`. */
  static async start(t: Test): Promise<{ issuer: TokenIssuer; key: SigningKey }> {
    const server = createServer((request, response) => {
      const path = request.url ?? '';
      issuer.asked.push(path);
      const document = issuer.#documentAt(path);
      if (issuer.isDown) response.writeHead(503).end();
      else if (document === undefined) response.writeHead(404).end();
      else response.setHeader('content-type', 'application/json').end(JSON.stringify(document));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    const issuer = new TokenIssuer(`http://127.0.0.1:${(server.address() as AddressInfo).port}/realm`);
    const key = await newKey('first');
    issuer.shown = [key.publicJwk];
    return { issuer, key };
  }

  /** A token that is good, but for what is said otherwise. */
  async sign(
    key: SigningKey,
    claims: Record<string, unknown> = {},
    header: Record<string, unknown> = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const good = { iss: this.url, aud: this.audience, sub: 'ann', iat: now, exp: now + 600 };
    const token = new SignJWT({ ...good, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'at+jwt', ...header })
      .sign(key.privateKey, { crit: { odd: true } });
    return noteCredential(await token);
  }

  /** How often its keys were asked for. */
  get readings(): number {
    return this.asked.filter((path) => path === '/realm/keys').length;
  }

  #documentAt(path: string): unknown {
    const own: Record<string, unknown> = {
      '/realm/.well-known/openid-configuration': { issuer: this.url, jwks_uri: `${this.url}/keys` },
      '/realm/keys': { keys: this.shown },
    };
    return this.documents.get(path) ?? own[path];
  }
}

/** A key pair for ES256. */
export async function newKey(kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
}
