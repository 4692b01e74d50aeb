// The OAuth 2 part of a sign-in, which is @fastify/oauth2's: authorization code, PKCE, state, cookies. The plugin wants to
// know the endpoints when it is registered, and those of an OpenID provider are known once the provider has answered: so it
// gets a Fastify instance of its own, which serves nothing, and lends its functions to requests of ours.

import oauth2, { type OAuth2Namespace } from '@fastify/oauth2';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { Place, SignInProvider } from '../../config/config.ts';
import { cookieName, cookieTerms } from '../session-cookie.ts';
import type { Endpoints } from './endpoints.ts';
import { stateAgeMaxMs } from './state.ts';

/** The plugin's functions, for one provider. */
export type OAuthFlow = Pick<OAuth2Namespace, 'generateAuthorizationUri' | 'getAccessTokenFromAuthorizationCodeFlow'>;

export interface FlowOptions {
  readonly provider: SignInProvider;
  readonly portal: Place;
  readonly endpoints: Endpoints;
  /** Makes the state of a sign-in that begins. */
  readonly openState: (request: FastifyRequest) => string;
}

/** How long a provider may take to exchange a code, and how much it may answer. */
const timeoutMs = 5_000;
const answerBytesMax = 1024 * 1024;

/** The names of the cookies of a sign-in with a provider. */
export function signInCookies(portal: Place, provider: string): { state: string; verifier: string } {
  return { state: cookieName(portal, `state_${provider}`), verifier: cookieName(portal, `verifier_${provider}`) };
}

/** Ends the cookies of a sign-in. */
export function clearCookies(reply: FastifyReply, portal: Place, provider: string): void {
  for (const name of Object.values(signInCookies(portal, provider))) reply.clearCookie(name, cookieTerms(portal));
}

/** Where a provider sends people back to: what is registered there. */
export function redirectUriOf(portal: Place, provider: string): string {
  return `${portal.origin}${portal.path}/_tollgate/auth/callback/${provider}`;
}

/** Registers the plugin for a provider. */
export async function openFlow(options: FlowOptions): Promise<OAuthFlow> {
  const { provider, portal, endpoints, openState } = options;
  const { name, clientId, clientSecret, scope } = provider;
  const [authorize, token] = [new URL(endpoints.authorizationUrl), new URL(endpoints.tokenUrl)];
  const cookies = signInCookies(portal, name);
  const host = fastify();
  await host.register(oauth2, {
    name: 'flow',
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
    redirectStateCookieName: cookies.state,
    verifierCookieName: cookies.verifier,
    cookie: { ...cookieTerms(portal), signed: true, maxAge: stateAgeMaxMs / 1000 },
    generateStateFunction: async (request: FastifyRequest) => openState(request),
    // Checked before an answer gets here.
    checkStateFunction: async () => true,
  });
  await host.ready();
  return (host as unknown as { flow: OAuthFlow }).flow;
}
