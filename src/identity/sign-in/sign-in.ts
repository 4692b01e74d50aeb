// Signing in and out: to the provider, back with its answer, from there to a session. What fails on the way tells a
// stranger nothing but that it failed.

import cookie from '@fastify/cookie';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { Place, SignIn } from '../../config/config.ts';
import { TollgateError } from '../../errors.ts';
import { type Static, Type } from '../../schema/type.ts';
import { hasIdentity, type Person } from '../../store/sign-ups.ts';
import { mayEnter } from '../admission.ts';
import type { Attempts } from '../attempts.ts';
import { type NewcomersOptions, welcome } from '../newcomers.ts';
import type { ProviderClient } from '../provider-client.ts';
import { cookieTerms, sessionIdIn } from '../session-cookie.ts';
import type { Sessions } from '../sessions.ts';
import { authPrefix, landingPathOf, loginUrlOf } from './addresses.ts';
import { Refused } from './failures.ts';
import { ProviderLink } from './link.ts';
import { stateCookieOf } from './oauth-flow.ts';
import { openState, returnToOf, safeReturnTo, stateAgeMaxMs } from './state.ts';

export interface SignInOptions extends NewcomersOptions {
  readonly log: FastifyInstance['log'];
  readonly signIn: SignIn;
  readonly portal: Place;
  /** Whether a host is the portal's; null where it shares one with the upstreams. */
  readonly isPortalHost: ((host: string) => boolean) | null;
  readonly sessions: Sessions;
  readonly client: ProviderClient;
  /** By address: sign-ins that begin, users that are made, and what names no session that there is. */
  readonly starts: Attempts;
  readonly signUps: Attempts;
  readonly failures: Attempts;
  /** Where a request comes from, and which host it names. */
  readonly visitorOf: (request: FastifyRequest) => { readonly address: string; readonly host: string | null };
}

/** States that have been used, for as long as they would be good; beyond that the oldest is forgotten. */
const usedMax = 10_000;

const oneLine = Type.Optional(Type.String({ maxLength: 8_192 }));
const loginQuery = Type.Object({
  returnTo: oneLine,
  led: Type.Optional(
    Type.String({ description: "Whether the browser has been led to the portal's host.", maxLength: 8 }),
  ),
});
const answerQuery = Type.Object({ code: oneLine, state: oneLine, iss: oneLine, error: oneLine });
const onward = { 302: Type.Null() };
const signOutBody = Type.Object({ everywhere: Type.Boolean({ default: false }) }, { additionalProperties: false });

/** The paths below `/_tollgate/auth`. */
export async function signIn(app: FastifyInstance, options: SignInOptions): Promise<void> {
  const { portal, client, log } = options;
  await app.register(cookie, { secret: [...options.signIn.secrets], hook: 'onRequest' });
  const links = new Map(
    options.signIn.providers.map((provider) => [provider.name, new ProviderLink({ provider, portal, client, log })]),
  );
  const used = new LRUCache<string, true>({ max: usedMax, ttl: stateAgeMaxMs });
  const linkOf = ({ params }: FastifyRequest) => {
    const link = links.get((params as { provider: string }).provider);
    if (link === undefined) throw new TollgateError('TG_ROUTE_NOT_FOUND');
    return link;
  };
  app.get(`${authPrefix}/login/:provider`, {
    schema: { querystring: loginQuery, response: onward },
    handler: async (request, reply) => begin(linkOf(request), request, reply, options),
  });
  app.get(`${authPrefix}/callback/:provider`, {
    schema: { querystring: answerQuery, response: onward },
    handler: async (request, reply) => finish(linkOf(request), used, request, reply, options),
  });
  app.post(`${authPrefix}/logout`, {
    schema: { body: signOutBody, response: { 204: Type.Null() } },
    handler: async (request, reply) => signOut(request, reply, options),
  });
}

async function begin(link: ProviderLink, request: FastifyRequest, reply: FastifyReply, options: SignInOptions) {
  const { portal, isPortalHost, starts, visitorOf } = options;
  const { address, host } = visitorOf(request);
  const { returnTo, led } = request.query as Static<typeof loginQuery>;
  const path = returnTo === undefined ? landingPathOf(portal) : safeReturnTo(returnTo, portal);
  if (path === null) throw new TollgateError('TG_INPUT_INVALID', { input: `returnTo is no path at ${portal.origin}` });
  // Cookies belong to the host that sets them, and the provider sends people back to the portal's. Once is enough: a proxy
  // may name another host whatever was asked for.
  if (isPortalHost !== null && host !== null && !isPortalHost(host) && led === undefined) {
    const query = new URLSearchParams({ led: '1', ...(returnTo !== undefined && { returnTo: path }) });
    return reply.redirect(loginUrlOf(portal, link.provider.name, `?${query}`));
  }
  takeOr429(starts, address);
  return reply.redirect(await link.begin(request, reply, openState(path)));
}

async function finish(
  link: ProviderLink,
  used: LRUCache<string, true>,
  request: FastifyRequest,
  reply: FastifyReply,
  options: SignInOptions,
) {
  const { portal, sessions, signIn, log } = options;
  const provider = link.provider.name;
  const { state = '' } = request.query as Static<typeof answerQuery>;
  const person = await link.finish(request, reply, () => {
    const kept = request.unsignCookie(request.cookies[stateCookieOf(portal, provider)] ?? '');
    if (!kept.valid || kept.value !== state || used.has(state) || returnToOf(state) === null) {
      throw new Refused('the state is not one that this browser began with');
    }
    used.set(state, true);
  });
  if (!mayEnter(signIn, provider, person.email)) {
    log.info({ provider, issuer: person.issuer, subject: person.subject }, 'a sign-in is not allowed');
    throw new TollgateError('TG_SIGN_IN_NOT_ALLOWED');
  }
  const userId = await userOf(person, provider, request, options);
  const before = sessionIdIn(request.headers.cookie, sessions.cookie);
  const id = await sessions.begin({ userId, provider, vouchedEmail: person.email }, before === '' ? null : before);
  reply.setCookie(sessions.cookie, id, { ...cookieTerms(portal), maxAge: Math.floor(signIn.maxAge / 1000) });
  log.info({ user: userId, provider }, 'signed in');
  return reply.redirect(safeReturnTo(returnToOf(state) ?? '', portal) ?? landingPathOf(portal));
}

async function userOf(person: Person, provider: string, request: FastifyRequest, options: SignInOptions) {
  const { db, signUps, visitorOf } = options;
  if (!(await hasIdentity(db, person))) takeOr429(signUps, visitorOf(request).address);
  const { userId, isBlocked } = await welcome(person, `sign-in:${provider}`, options);
  if (isBlocked) throw new TollgateError('TG_USER_BLOCKED');
  return userId;
}

async function signOut(request: FastifyRequest, reply: FastifyReply, options: SignInOptions) {
  const { sessions, portal, failures, visitorOf } = options;
  const { everywhere: isEverywhere } = request.body as Static<typeof signOutBody>;
  // Nor is a page of another origin told to forget the cookie.
  if (!sessions.isProven(request.raw, 'end')) throw new TollgateError('TG_AUTH_MISSING');
  const id = sessionIdIn(request.headers.cookie, sessions.cookie);
  if (id !== null && !(await sessions.end(id, { isEverywhere }))) takeOr429(failures, visitorOf(request).address);
  reply.clearCookie(sessions.cookie, cookieTerms(portal));
  return reply.code(204).send();
}

function takeOr429(attempts: Attempts, address: string): void {
  if (!attempts.take(address)) {
    throw new TollgateError('TG_RATE_LIMITED', { retryAfter: attempts.retryAfterSeconds(address) });
  }
}
