// GitHub as far as a sign-in sees it: OAuth 2 without OpenID Connect, errors with status 200, a person whose name and
// address may be hidden, addresses on a path of their own. After
// https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps.

import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { noteCredential, noteCredentialIn } from './evidence.ts';

export interface GitHubPerson {
  readonly id: number;
  readonly login: string;
  readonly name: string | null;
  /** The public one. */
  readonly email: string | null;
  readonly avatar_url: string;
}

export interface GitHubEmail {
  readonly email: string;
  readonly primary: boolean;
  readonly verified: boolean;
  readonly visibility: 'public' | 'private' | null;
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly location?: string;
}

const ann: GitHubPerson = {
  id: 4711,
  login: 'ann',
  name: 'Ann Example',
  email: null,
  avatar_url: 'https://avatars.example/u/4711',
};

export class GitHubProvider {
  readonly url: string;
  readonly clientId = 'Ov23liTollgateTest';
  readonly clientSecret = noteCredential(randomBytes(20).toString('hex'));
  /** Who is signed in there, and comes back at once. */
  person = ann;
  emails: readonly GitHubEmail[] = [
    { email: 'ann@example.com', primary: true, verified: true, visibility: 'private' },
    { email: 'ann@old.example', primary: false, verified: true, visibility: null },
  ];
  /** Whether it answers with a failure. */
  isDown = false;
  /** What it was asked for: method and path, without the query. */
  readonly asked: string[] = [];
  /** The queries of authorizations. */
  readonly authorizations: URLSearchParams[] = [];
  /** The field `Authorization` of each request for a token. */
  readonly tokenAuthorizations: (string | undefined)[] = [];
  readonly #redirectUris = new Set<string>();
  /** The query that each code was given for. */
  readonly #codes = new Map<string, URLSearchParams>();
  /** The scopes of each token. */
  readonly #tokens = new Map<string, readonly string[]>();

  private constructor(url: string) {
    this.url = url;
  }

  /** Listens on a free port until the end of the test. */
  static async start(t: Test): Promise<GitHubProvider> {
    const server = createServer((request, response) => {
      provider.#answer(request).then(
        ({ status, body, location }) => {
          const isForm = body instanceof URLSearchParams;
          if (location !== undefined) response.setHeader('location', location);
          response.setHeader('content-type', isForm ? 'application/x-www-form-urlencoded' : 'application/json');
          response.writeHead(status).end(isForm ? body.toString() : JSON.stringify(body));
        },
        () => response.destroy(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    const provider = new GitHubProvider(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return provider;
  }

  /** Allows one more address to come back to. */
  allowRedirect(uri: string): void {
    this.#redirectUris.add(uri);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const form = new URLSearchParams(await text(request));
    const call = `${request.method} ${pathname}`;
    for (const field of [request.headers.authorization, form.get('code_verifier')]) noteCredentialIn(field);
    this.asked.push(call);
    if (this.isDown) return { status: 503, body: { message: 'No server is currently available' } };
    if (call === 'GET /login/oauth/authorize') return this.#authorize(searchParams);
    if (call === 'POST /login/oauth/access_token') {
      const body = this.#redeem(request, form);
      const isJson = request.headers.accept?.includes('json') === true;
      return { status: 200, body: isJson ? body : new URLSearchParams(body) };
    }
    return this.#read(call, request);
  }

  #authorize(query: URLSearchParams): Answer {
    this.authorizations.push(query);
    const redirectUri = query.get('redirect_uri') ?? '';
    if (query.get('client_id') !== this.clientId || !this.#redirectUris.has(redirectUri)) return { status: 404 };
    const code = noteCredential(randomBytes(10).toString('hex'));
    this.#codes.set(code, query);
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    const state = query.get('state');
    if (state !== null) back.searchParams.set('state', state);
    return { status: 302, location: back.href };
  }

  #redeem(request: IncomingMessage, form: URLSearchParams): Record<string, string> {
    this.tokenAuthorizations.push(request.headers.authorization);
    const [id, secret] = credentialsOf(request, form);
    if (id !== this.clientId || secret !== this.clientSecret) {
      return failure('incorrect_client_credentials', 'The client_id and/or client_secret passed are incorrect.');
    }
    const code = form.get('code') ?? '';
    const query = this.#codes.get(code);
    this.#codes.delete(code);
    if (query === undefined || !isVerifierOf(form.get('code_verifier'), query.get('code_challenge'))) {
      return failure('bad_verification_code', 'The code passed is incorrect or expired.');
    }
    if (form.get('redirect_uri') !== query.get('redirect_uri')) {
      return failure('redirect_uri_mismatch', 'The redirect_uri MUST match the registered callback URL.');
    }
    const token = noteCredential(`gho_${randomBytes(18).toString('hex')}`);
    const scopes = (query.get('scope') ?? '').split(/[ ,]+/).filter((scope) => scope !== '');
    this.#tokens.set(token, scopes);
    return { access_token: token, scope: scopes.join(','), token_type: 'bearer' };
  }

  #read(call: string, { headers }: IncomingMessage): Answer {
    if (!headers['user-agent']) return { status: 403, body: { message: 'Request forbidden by administrative rules.' } };
    const [, token = ''] = /^(?:bearer|token) (\S+)$/i.exec(headers.authorization ?? '') ?? [];
    const scopes = this.#tokens.get(token);
    if (scopes === undefined) return { status: 401, body: { message: 'Bad credentials' } };
    if (call === 'GET /user') return { status: 200, body: this.person };
    const canReadEmails = scopes.includes('user') || scopes.includes('user:email');
    if (call === 'GET /user/emails' && canReadEmails) return { status: 200, body: this.emails };
    return { status: 404, body: { message: 'Not Found' } };
  }
}

/** They come in the form, or as Basic credentials. */
function credentialsOf({ headers }: IncomingMessage, form: URLSearchParams): (string | null | undefined)[] {
  const [, basic] = /^basic (\S+)$/i.exec(headers.authorization ?? '') ?? [];
  if (basic === undefined) return [form.get('client_id'), form.get('client_secret')];
  return Buffer.from(basic, 'base64').toString().split(':').map(decodeURIComponent);
}

/** PKCE is for whoever asks for it, and then it is checked. */
function isVerifierOf(verifier: string | null, challenge: string | null): boolean {
  if (challenge === null) return true;
  return (
    createHash('sha256')
      .update(verifier ?? '')
      .digest('base64url') === challenge
  );
}

function failure(error: string, description: string): Record<string, string> {
  return { error, error_description: description, error_uri: 'https://docs.github.com/apps' };
}
