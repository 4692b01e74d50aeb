// An OpenID provider whose every byte is the test's to choose: it says what no honest one would say. Left alone it is
// honest, for one person. For what a real one does, identity-provider.ts runs one.

import { createPublicKey } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SignJWT, UnsecuredJWT } from 'jose';
import type { Test } from 'tap';
import { noteCredential, noteCredentialIn } from './evidence.ts';
import { newKey, type SigningKey } from './token-issuer.ts';

/** Changes to what it would say by itself. What is `undefined` is left out. */
export type Changes = Readonly<Record<string, unknown>>;

/** An ID token with these claims, or something else in its place; undefined for none. */
export type MakeIdToken = (claims: Record<string, unknown>) => Promise<unknown>;

export interface TokenRequest {
  readonly form: URLSearchParams;
  readonly authorization: string | undefined;
}

/** Paths below the issuer. */
type Endpoint = '/.well-known/openid-configuration' | '/keys' | '/authorize' | '/token' | '/userinfo';

export class OddProvider {
  readonly issuer: string;
  readonly clientId = 'gateway-sign-in';
  readonly clientSecret = noteCredential('the secret: of a test');
  /** The key that it shows. */
  readonly key: SigningKey;
  /** Whether it answers with a failure. */
  isDown = false;

  /** What it was asked for: paths below the issuer. */
  readonly asked: string[] = [];
  /** The queries of authorizations. The nonce of the last one is in ID tokens. */
  readonly authorizations: URLSearchParams[] = [];
  readonly tokenRequests: TokenRequest[] = [];
  /** The field `Authorization` of each look at userinfo. */
  readonly userinfoRequests: (string | undefined)[] = [];

  /** Changes to the discovery document. */
  discovery: Changes = {};
  /** Changes to the query that it sends people back with: `code`, `state`, `iss`. A refusal is `{ code: undefined, error }`. */
  redirect: Changes = {};
  /** Changes to the answer to a code. */
  tokenAnswer: Changes = {};
  /** Changes to the claims of the ID token. */
  claims: Changes = {};
  /** Changes to userinfo. */
  userinfo: Changes = {};
  /** Makes the ID token; see the functions below. */
  makeIdToken: MakeIdToken;
  /** In place of its own answers. */
  readonly answers = new Map<Endpoint, RequestListener>();

  private constructor(issuer: string, key: SigningKey) {
    this.issuer = issuer;
    this.key = key;
    this.makeIdToken = signedWith(key);
  }

  /** Listens on a free port until the end of the test. */
  static async start(t: Test): Promise<OddProvider> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/realm`;
    const provider = new OddProvider(issuer, await newKey('first'));
    server.on('request', (request, response) => {
      provider.#answer(request, response).catch(() => response.destroy());
    });
    return provider;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.issuer);
    const path = pathname.replace(/^\/realm/, '') as Endpoint;
    this.asked.push(path);
    if (this.isDown) return void response.writeHead(503).end();
    const other = this.answers.get(path);
    if (other !== undefined) return other(request, response);
    if (path === '/authorize') {
      this.authorizations.push(searchParams);
      return void response.writeHead(302, { location: this.#wayBack(searchParams) }).end();
    }
    const document = await this.#documentAt(path, request);
    if (document === undefined) return void response.writeHead(404).end();
    response.setHeader('content-type', 'application/json').end(JSON.stringify(document));
  }

  #wayBack(query: URLSearchParams): string {
    const code = noteCredential(`odd-provider-code-${this.authorizations.length}`);
    const own = { code, state: query.get('state'), iss: this.issuer };
    const back = new URL(query.get('redirect_uri') ?? this.issuer);
    for (const [name, value] of Object.entries({ ...own, ...this.redirect })) {
      if (value !== undefined && value !== null) back.searchParams.set(name, String(value));
    }
    return back.href;
  }

  async #documentAt(path: Endpoint, request: IncomingMessage): Promise<unknown> {
    const { authorization } = request.headers;
    if (path === '/.well-known/openid-configuration') return { ...this.#discovery(), ...this.discovery };
    if (path === '/keys') return { keys: [this.key.publicJwk] };
    if (path === '/userinfo') {
      this.userinfoRequests.push(authorization);
      const own = { sub: 'ann', name: 'Ann Example', email: 'ann@example.com', email_verified: true };
      return { ...own, ...this.userinfo };
    }
    if (path !== '/token') return undefined;
    const form = new URLSearchParams(await text(request));
    this.tokenRequests.push({ form, authorization });
    for (const field of [authorization, form.get('code_verifier')]) noteCredentialIn(field);
    const idToken = await this.makeIdToken({ ...this.#claims(), ...this.claims });
    const token = noteCredential('odd-provider-access-token');
    if (typeof idToken === 'string') noteCredentialIn(idToken);
    const own = { access_token: token, token_type: 'Bearer', expires_in: 600, id_token: idToken };
    return { ...own, ...this.tokenAnswer };
  }

  #discovery(): object {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${this.issuer}/authorize`,
      token_endpoint: `${this.issuer}/token`,
      userinfo_endpoint: `${this.issuer}/userinfo`,
      jwks_uri: `${this.issuer}/keys`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    };
  }

  #claims(): object {
    const now = Math.floor(Date.now() / 1000);
    const nonce = this.authorizations.at(-1)?.get('nonce') ?? undefined;
    return { iss: this.issuer, aud: this.clientId, sub: 'ann', iat: now, exp: now + 600, nonce };
  }
}

/** As an honest provider makes it, if the key is the one that it shows. */
export function signedWith({ kid, privateKey }: SigningKey): MakeIdToken {
  return (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey);
}

/** With `alg: none`. */
export const unsigned: MakeIdToken = async (claims) => new UnsecuredJWT(claims).encode();

/** With HS256 and a secret, such as the client's. */
export function signedWithSecret(secret: string, kid = 'first'): MakeIdToken {
  const bytes = new TextEncoder().encode(secret);
  return (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(bytes);
}

/** With HS256 and the public key for a secret: it passes where the header chooses the algorithm. */
export function signedWithPublicKey({ kid, publicJwk }: SigningKey): MakeIdToken {
  const key = createPublicKey({ key: { ...publicJwk }, format: 'jwk' });
  return signedWithSecret(String(key.export({ type: 'spki', format: 'pem' })), kid);
}
