// Who may call: the parts of identity, put together from the configuration, and what they go by while the store is down.

import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { LastKnown } from '../fallback/last-known.ts';
import { BearerTokens } from '../identity/bearer.ts';
import { Callers } from '../identity/callers.ts';
import { Introspection } from '../identity/introspection.ts';
import type { JwtOptions, Jwts } from '../identity/jwts.ts';
import { KnownCallers } from '../identity/known-callers.ts';
import { ProviderClient } from '../identity/provider-client.ts';
import { Sessions } from '../identity/sessions.ts';
import { TokenUsers } from '../identity/token-users.ts';
import type { Database } from '../store/database.ts';
import { keyFinder } from '../store/identities.ts';

/** Who may call, as far as it is remembered, and the client that asks their providers. */
export interface Identities {
  readonly callers: Callers;
  readonly client: ProviderClient;
}

interface Means {
  readonly db: Database['db'];
  readonly log: Logger;
  /** Whether the store can be asked. */
  readonly isStoreUp: () => boolean;
  /** What it said last of callers; null where nobody is served by that. */
  readonly known: LastKnown | null;
}

/** Nothing is asked of anybody yet. What verifies tokens is loaded only where there are any. */
export async function openIdentities({ auth, server, ...config }: Config, means: Means): Promise<Identities> {
  const { db, log, isStoreUp, known } = means;
  const client = new ProviderClient();
  const { bearer: issuers, introspection: endpoint, signIn } = auth;
  const users = new TokenUsers({ db, newUser: newUserOf(config), log, isStoreUp, lastKnown: known });
  const clientIds = new Set(signIn?.providers.map(({ clientId }) => clientId));
  const jwts = issuers.length === 0 ? null : await openJwts({ issuers, clientIds, users, client, log });
  const introspection = endpoint === null ? null : new Introspection({ endpoint, users, client, log });
  const tokens = jwts === null && introspection === null ? null : new BearerTokens(jwts, introspection, log);
  const findKey = keyFinder(db);
  const keys = new KnownCallers((_key, hash) => findKey(hash), undefined, {
    isStoreUp,
    find: (hash) => known?.findKey(hash) ?? null,
    note: (hash, found) => known?.noteKey(hash, found),
  });
  const { publicPlace, portalPlace: portal } = server;
  const hasSessions = signIn !== null && publicPlace !== null && portal !== null;
  const sessions = hasSessions ? new Sessions({ db, signIn, portal, publicPlace, isStoreUp }) : null;
  return { callers: new Callers(keys, tokens, sessions), client };
}

async function openJwts(options: JwtOptions): Promise<Jwts> {
  const { Jwts } = await import('../identity/jwts.ts');
  return new Jwts(options);
}

/** What users begin with who sign up by themselves. */
export function newUserOf({ defaultPlan: plan, plans }: Pick<Config, 'defaultPlan' | 'plans'>) {
  return { plan, credits: plans[plan]?.startingCredits ?? 0 };
}
