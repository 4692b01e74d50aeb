// How people sign in at an OpenID provider that knows no passwords: whoever comes says who they are, and consents. It
// holds what the library leaves to its user: settings, people, the page between. The demo and the tests run on it.

import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import type Provider from 'oidc-provider';
import type { AdapterPayload, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { keepInMemory } from './demo-provider-memory.ts';
import { choicePage, lostPage, type People, pageHeaders } from './demo-sign-in-page.ts';

/** Where the library sends those who are to be asked. */
const questionPath = '/interaction/';
/** The most it reads of a form. */
const formBytesMax = 4096;
const minute = 60;
const hour = 60 * minute;

/** The library's settings. People and clients (metadata by id) are read at each request, and may change between. */
export async function signInSettings(people: People, clients: ReadonlyMap<string, AdapterPayload>) {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return {
    adapter: keepInMemory(clients),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'rsa', alg: 'RS256', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    claims: { openid: ['sub'], profile: ['name', 'picture'], email: ['email', 'email_verified'] },
    findAccount: (_context, subject) => {
      const claims = people.get(subject);
      return claims && { accountId: subject, claims: () => ({ sub: subject, ...claims }) };
    },
    loadExistingGrant: grantAll,
    pkce: { required: () => true },
    // Nobody stays signed in here, see demo-provider-memory.ts, and tokens are to outlive the sign-in.
    expiresWithSession: () => false,
    // What follows has defaults, each of which prints a notice when it is first used.
    clientBasedCORS: () => false,
    renderError: (context, { error, error_description: description }) => {
      context.type = 'text/plain';
      context.body = `${error}: ${description ?? ''}\n`;
    },
    ttl: {
      AccessToken: hour,
      AuthorizationCode: minute,
      ClientCredentials: 10 * minute,
      Grant: hour,
      IdToken: hour,
      Interaction: hour,
      Session: hour,
    },
    features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: false } },
  } satisfies Configuration;
}

/** The provider with the page on which one of the people is chosen. */
export function askWhoSignsIn(provider: Provider, people: People): RequestListener {
  return answerQuestions(provider, async (request, response) => {
    await provider.interactionDetails(request, response);
    const isAnswer = request.method === 'POST';
    const subject = isAnswer ? ((await readForm(request)).get('subject') ?? '') : '';
    if (people.has(subject)) return signIn(provider, request, response, subject);
    response.writeHead(isAnswer ? 400 : 200, pageHeaders).end(choicePage(people));
  });
}

/** The provider where the one whom `whoIsHere` names signs in without being asked. */
export function askNobody(provider: Provider, whoIsHere: () => string): RequestListener {
  return answerQuestions(provider, (request, response) => signIn(provider, request, response, whoIsHere()));
}

type Ask = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

function answerQuestions(provider: Provider, ask: Ask): RequestListener {
  // Someone who leaves halfway is no news for the console.
  provider.silent = true;
  const answer = provider.callback();
  return (request, response) => {
    if (!request.url?.startsWith(questionPath)) return void answer(request, response);
    ask(request, response).catch(() => response.writeHead(400, pageHeaders).end(lostPage()));
  };
}

/** The consent is said for clients that want it to be asked for each time. */
function signIn(provider: Provider, request: IncomingMessage, response: ServerResponse, accountId: string) {
  return provider.interactionFinished(request, response, { login: { accountId }, consent: {} });
}

/** Grants what the client asks for, so that nobody is asked for a consent. */
async function grantAll({ oidc }: KoaContextWithOIDC) {
  const grant = new oidc.provider.Grant({ clientId: oidc.client?.clientId, accountId: oidc.session?.accountId });
  const scope = String(oidc.params?.['scope'] ?? '');
  grant.addOIDCScope(scope);
  for (const resource of Object.keys(oidc.resourceServers ?? {})) grant.addResourceScope(resource, scope);
  await grant.save();
  return grant;
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= formBytesMax) chunks.push(chunk);
  }
  return new URLSearchParams(bytes > formBytesMax ? '' : Buffer.concat(chunks).toString('utf8'));
}
