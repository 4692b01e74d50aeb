// The OAuth 2 part of a sign-in, which is @fastify/oauth2's: authorization code, PKCE, cookies, exchange. The plugin wants to
// know the endpoints when it is registered, and those of an OpenID provider are known once the provider has answered: so it
// gets a Fastify instance of its own, which serves nothing, and lends its functions to requests of ours.

import oauth2, { type OAuth2Namespace } from '@fastify/oauth2';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { Place, SignInProvider } from '../../config/config.ts';
import { cookieName, cookieTerms } from '../session-cookie.ts';
import { redirectUriOf } from './addresses.ts';
import type { Endpoints } from './endpoints.ts';
import { stateAgeMaxMs } from './state.ts';

/** What a provider gives for a code. */
export type TokenSet = Readonly<Record<string, unknown>>;

export interface OAuthFlow {
  /** Where the browser has to go, with this state; its cookies are set on the reply. */
  begin(request: FastifyRequest, reply: FastifyReply, state: string): Promise<URL>;
  /** Exchanges the code of an answer whose state has been checked. Rejects as the library does. */
  exchange(request: FastifyRequest, reply: FastifyReply): Promise<TokenSet>;
}

/** How long a provider may take to exchange a code, and how much it may answer. */
const timeoutMs = 5_000;
const answerBytesMax = 1024 * 1024;

/** The cookie that holds the state of a sign-in with a provider. */
export function stateCookieOf(portal: Place, provider: string): string {
  return cookieName(portal, `state_${provider}`);
}

function verifierCookieOf(portal: Place, provider: string): string {
  return cookieName(portal, `verifier_${provider}`);
}

/** Ends the cookies of a sign-in. */
export function clearCookies(reply: FastifyReply, portal: Place, provider: string): void {
  for (const name of [stateCookieOf(portal, provider), verifierCookieOf(portal, provider)]) {
    reply.clearCookie(name, cookieTerms(portal));
  }
}

/** Registers the plugin for a provider. */
export async function openFlow(provider: SignInProvider, portal: Place, endpoints: Endpoints): Promise<OAuthFlow> {
  const { name, clientId, clientSecret, scope } = provider;
  const [authorize, token] = [new URL(endpoints.authorizationUrl), new URL(endpoints.tokenUrl)];
  const states = new WeakMap<FastifyRequest, string>();
  const host = fastify();
  await host.register(oauth2, {
    name: 'plugin',
    credentials: {
      client: { id: clientId, secret: clientSecret },
      auth: {
        authorizeHost: authorize.origin,
        authorizePath: authorize.pathname + authorize.search,
        tokenHost: token.origin,
        tokenPath: token.pathname + token.search,
      },
      options: { authorizationMethod: endpoints.clientAuthentication },
      http: { timeout: timeoutMs, maxBytes: answerBytesMax },
    },
    callbackUri: redirectUriOf(portal, name),
    scope: scope === '' ? [] : scope.split(' '),
    pkce: 'S256',
    redirectStateCookieName: stateCookieOf(portal, name),
    verifierCookieName: verifierCookieOf(portal, name),
    cookie: { ...cookieTerms(portal), signed: true, maxAge: stateAgeMaxMs / 1000 },
    generateStateFunction: async (request: FastifyRequest) => states.get(request) ?? '',
    // Checked before an answer gets here.
    checkStateFunction: async () => true,
  });
  await host.ready();
  const { plugin } = host as unknown as { plugin: OAuth2Namespace };
  return {
    begin: async (request, reply, state) => {
      states.set(request, state);
      return new URL(await plugin.generateAuthorizationUri(request, reply));
    },
    exchange: async (request, reply) => {
      const { token: given } = await plugin.getAccessTokenFromAuthorizationCodeFlow(request, reply);
      return { ...given };
    },
  };
}
