// Signing in and out: to the provider, back with its answer, from there to a session. What fails on the way tells a
// stranger nothing but that it failed.

import cookie from '@fastify/cookie';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { BaseLogger } from 'pino';
import Type from 'typebox';
import type { Place, SignIn } from '../../config/config.ts';
import { TollgateError } from '../../errors.ts';
import type { Db } from '../../store/database.ts';
import { hasIdentity, type Person, resolveUser, type SignUpTerms } from '../../store/sign-ups.ts';
import type { Attempts } from '../attempts.ts';
import type { ProviderClient } from '../provider-client.ts';
import { cookieTerms, isNotForeign, sessionIdIn } from '../session-cookie.ts';
import type { Sessions } from '../sessions.ts';
import { mayEnter } from './admission.ts';
import { Refused } from './failures.ts';
import { ProviderLink } from './link.ts';
import { signInCookies } from './oauth-flow.ts';
import { openState, returnToOf, safeReturnTo, stateAgeMaxMs } from './state.ts';

export interface SignInOptions {
  readonly db: Db;
  readonly signIn: SignIn;
  readonly portal: Place;
  readonly publicPlace: Place;
  readonly sessions: Sessions;
  readonly client: ProviderClient;
  readonly newUser: Omit<SignUpTerms, 'actor'>;
  readonly starts: Attempts;
  readonly signUps: Attempts;
  /** Where a request comes from, and which host it names. */
  readonly visitorOf: (request: FastifyRequest) => { readonly address: string; readonly host: string | null };
  readonly log: Pick<BaseLogger, 'info' | 'warn'>;
}

const prefix = '/_tollgate/auth';
/** Where people land who have not said where to go. */
const landing = '/_tollgate/api/session';
/** States that have been used, for as long as they would be good. */
const usedMax = 10_000;
const bodyBytesMax = 1_024;

const oneLine = Type.Optional(Type.String({ maxLength: 8_192 }));
const answerSchema = Type.Object({ code: oneLine, state: oneLine, iss: oneLine, error: oneLine });

/** The paths below `/_tollgate/auth`. */
export async function signIn(app: FastifyInstance, options: SignInOptions): Promise<void> {
  await app.register(cookie, { secret: [...options.signIn.secrets], hook: 'onRequest' });
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store');
    done();
  });
  const links = openLinks(options);
  const linkOf = (name: string) => {
    const link = links.get(name);
    if (link === undefined) throw new TollgateError('TG_ROUTE_NOT_FOUND');
    return link;
  };
  const login = { querystring: Type.Object({ returnTo: oneLine, led: oneLine }) };
  app.get<{ Params: { provider: string }; Querystring: LoginQuery }>(`${prefix}/login/:provider`, {
    schema: login,
    handler: async (request, reply) => begin(linkOf(request.params.provider), request, reply, options),
  });
  const callback = { querystring: answerSchema };
  app.get<{ Params: { provider: string } }>(`${prefix}/callback/:provider`, {
    schema: callback,
    handler: async (request, reply) => finish(linkOf(request.params.provider), request, reply, options),
  });
  const body = Type.Object({ everywhere: Type.Boolean({ default: false }) }, { additionalProperties: false });
  app.post<{ Body: { everywhere: boolean } }>(`${prefix}/logout`, {
    bodyLimit: bodyBytesMax,
    preValidation: takeNoBody,
    schema: { body },
    handler: async (request, reply) => signOut(request, reply, options),
  });
}

function openLinks({ signIn, portal, client, log }: SignInOptions): ReadonlyMap<string, ProviderLink> {
  const used = new LRUCache<string, true>({ max: usedMax, ttl: stateAgeMaxMs });
  const links = signIn.providers.map((provider) => {
    const stateCookie = signInCookies(portal, provider.name).state;
    const link = new ProviderLink({
      provider,
      portal,
      client,
      log,
      openState: (request) => openState((request.query as { returnTo?: string }).returnTo ?? portal.path + landing),
      checkState: (request) => {
        const { state = '' } = request.query as { state?: string };
        const kept = request.unsignCookie(request.cookies[stateCookie] ?? '');
        if (!kept.valid || kept.value !== state || used.has(state) || returnToOf(state) === null) {
          throw new Refused('the state is not one that this browser began with');
        }
        used.set(state, true);
      },
    });
    return [provider.name, link] as const;
  });
  return new Map(links);
}

interface LoginQuery {
  returnTo?: string;
  /** Whether the browser has been led to the portal's host. */
  readonly led?: string;
}

type LoginRequest = FastifyRequest<{ Querystring: LoginQuery }>;

async function begin(link: ProviderLink, request: LoginRequest, reply: FastifyReply, options: SignInOptions) {
  const { portal, publicPlace, starts, visitorOf } = options;
  const { address, host } = visitorOf(request as FastifyRequest);
  const { returnTo, led } = request.query;
  const path = returnTo === undefined ? undefined : safeReturnTo(returnTo, portal);
  if (path === null) throw new TollgateError('TG_INPUT_INVALID', { input: `returnTo is no path at ${portal.origin}` });
  if (!starts.take(address)) throw new TollgateError('TG_RATE_LIMITED', { retryAfter: starts.retryAfterSeconds });
  // Cookies belong to the host that sets them, and the provider sends people back to the portal's. Once is enough: a proxy
  // may name the public host whatever was asked for.
  if (host === publicPlace.host && host !== portal.host && led === undefined) {
    const query = path === undefined ? '?led=1' : `?led=1&returnTo=${encodeURIComponent(path)}`;
    return reply.redirect(`${portal.origin}${portal.path}${prefix}/login/${link.provider.name}${query}`);
  }
  request.query.returnTo = path ?? portal.path + landing;
  return reply.redirect(await link.begin(request as FastifyRequest, reply));
}

async function finish(
  link: ProviderLink,
  request: FastifyRequest<{ Params: { provider: string } }>,
  reply: FastifyReply,
  options: SignInOptions,
) {
  const { portal, sessions, signIn, log } = options;
  const person = await link.finish(request as FastifyRequest, reply);
  const provider = link.provider.name;
  if (!mayEnter(signIn, provider, person.email)) {
    log.info({ provider, issuer: person.issuer, subject: person.subject }, 'a sign-in is not allowed');
    throw new TollgateError('TG_SIGN_IN_NOT_ALLOWED');
  }
  const userId = await userOf(person, provider, request as FastifyRequest, options);
  const before = sessionIdIn(request.headers.cookie, sessions.cookie);
  const id = await sessions.begin({ userId, provider, vouchedEmail: person.email }, before === '' ? null : before);
  reply.setCookie(sessions.cookie, id, { ...cookieTerms(portal), maxAge: Math.floor(signIn.maxAge / 1000) });
  log.info({ user: userId, provider }, 'signed in');
  const { state = '' } = request.query as { state?: string };
  return reply.redirect(safeReturnTo(returnToOf(state) ?? '', portal) ?? portal.path + landing);
}

async function userOf(
  person: Person,
  provider: string,
  request: FastifyRequest,
  options: SignInOptions,
): Promise<string> {
  const { db, newUser, signUps, visitorOf, log } = options;
  const actor = `sign-in:${provider}`;
  if (!(await hasIdentity(db, person)) && !signUps.take(visitorOf(request).address)) {
    throw new TollgateError('TG_RATE_LIMITED', { retryAfter: signUps.retryAfterSeconds });
  }
  const { userId, isBlocked, signedUpWith, isClaimed } = await resolveUser(db, person, { ...newUser, actor });
  if (signedUpWith !== null) {
    log.info({ user: userId, kind: 'signup', amount: signedUpWith, balance: signedUpWith, actor }, 'signup');
  }
  if (isClaimed) log.info({ user: userId, actor }, 'a user was claimed by address');
  if (isBlocked) throw new TollgateError('TG_USER_BLOCKED');
  return userId;
}

/** Who sends nothing means nothing special. */
async function takeNoBody(request: FastifyRequest): Promise<void> {
  request.body ??= {};
}

async function signOut(
  request: FastifyRequest<{ Body: { everywhere: boolean } }>,
  reply: FastifyReply,
  { sessions, portal }: SignInOptions,
) {
  // A page of another origin that says so has no say; whoever says nothing is no browser.
  const isOwn = isNotForeign([portal.origin], request.headers);
  if (!isOwn) throw new TollgateError('TG_AUTH_MISSING');
  const id = sessionIdIn(request.headers.cookie, sessions.cookie);
  if (id !== null) await sessions.end(id, { isEverywhere: request.body.everywhere });
  reply.clearCookie(sessions.cookie, cookieTerms(portal));
  return reply.code(204).send();
}
