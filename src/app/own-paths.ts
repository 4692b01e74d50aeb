// What the gateway answers at its own paths: which of them there are is a matter of the configuration.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { account } from '../api/account.ts';
import { keysApi } from '../api/keys.ts';
import { openApi } from '../api/openapi.ts';
import { prepareOwnPaths } from '../api/own-paths.ts';
import { sessionApi } from '../api/session.ts';
import type { Config } from '../config/config.ts';
import type { Site } from '../gateway/site.ts';
import { generateKey } from '../identity/api-keys.ts';
import { Attempts, attemptLimits } from '../identity/attempts.ts';
import { Operators } from '../identity/operators.ts';
import type { Meter } from '../meter/meter.ts';
import { operatorPlaces } from '../portal/admin/places.ts';
import { portal } from '../portal/portal.ts';
import type { Db } from '../store/database.ts';
import { type Identities, newUserOf } from './identities.ts';
import { signInLinksOf } from './portal.ts';

export interface OwnParts {
  readonly db: Db;
  readonly log: Logger;
  readonly meter: Meter;
  readonly identities: Identities;
  /** See `StatusOptions`. */
  readonly driftOf: () => number | null;
}

/** What they share with the calls beside them. */
export interface OwnMeans {
  readonly site: Site;
  readonly failures: Attempts;
  readonly visitorOf: VisitorOf;
}

export type VisitorOf = (request: FastifyRequest) => { readonly address: string; readonly host: string | null };

/** Beside the calls and not behind them, after what their hooks have found. */
export async function registerOwnPaths(
  app: FastifyInstance,
  config: Config,
  parts: OwnParts,
  means: OwnMeans,
): Promise<void> {
  await app.register(openApi);
  await app.register((own) => forEverybody(own, config, parts, means));
  const { adminTokens: tokens, signIn, apiKeys } = config.auth;
  const { identities, meter, ...rest } = parts;
  const isStoreUp = () => meter.isStoreUp;
  const { sessions } = identities.callers;
  const terms = { tokens, sessions, keyFields: apiKeys.headers, failures: means.failures, isStoreUp };
  const operators = new Operators(terms);
  await app.register(portal, {
    ...{ ...rest, meter, config, signInLinks: signInLinksOf(config), operatorPlaces },
    operatorOf: (request) => operators.findSignedIn(request.raw),
  });
  if (tokens.length === 0 && (signIn === null || signIn.admins.length === 0)) return;
  // Most starts have no use for it.
  const { adminApi } = await import('../api/admin/admin.ts');
  await app.register(adminApi, {
    ...{ ...rest, meter, generateKey, plans: config.plans, defaultPlan: config.defaultPlan },
    findOperator: (request) => operators.find(request.raw, means.visitorOf(request).address),
    prepare: (scope) => prepareOwnPaths(scope, isStoreUp),
  });
}

async function forEverybody(own: FastifyInstance, config: Config, parts: OwnParts, means: OwnMeans): Promise<void> {
  const { db, meter, log, identities } = parts;
  const { callers, client } = identities;
  const { site, ...forSignIn } = means;
  const { portalPlace: portal } = config.server;
  const { signIn: terms } = config.auth;
  prepareOwnPaths(own, () => meter.isStoreUp);
  await own.register(account, { db, meter });
  await own.register(keysApi, { db, generateKey });
  if (terms === null || callers.sessions === null || portal === null) return;
  await own.register(sessionApi, { db, meter });
  // Its libraries are a tenth of all that a start loads.
  const { signIn } = await import('../identity/sign-in/sign-in.ts');
  await own.register(signIn, {
    ...{ db, log, client, portal, isPortalHost: site.isPortalHost, ...forSignIn },
    signIn: terms,
    sessions: callers.sessions,
    newUser: newUserOf(config),
    starts: new Attempts(attemptLimits.signInStarts),
    signUps: new Attempts(attemptLimits.signUps),
  });
}
