// The rows of Tollgate: a gateway in front of the upstream, callers that it knows, and after each run its books.

import type { PostgresServer } from '../postgres.ts';
import { addCallers, assertBalanced, chargesSince, withDatabase } from './callers.ts';
import { type Gateway, startGateway } from './gateway.ts';
import type { Ground } from './ground.ts';
import { type Issuer, startIssuer } from './issuer.ts';
import type { Setting, Start, Subject } from './row.ts';

/** What differs from one row to the next. */
export interface Terms {
  readonly store: 'sqlite' | 'postgres';
  /** How many users call; one where nothing is said. */
  readonly callers?: number;
  readonly workers?: number;
  /** Callers come with a token. */
  readonly isWithToken?: boolean;
  /** Callers come with nothing, and nobody is charged. */
  readonly isPublic?: boolean;
  /** The database is down while calls are measured. */
  readonly isDown?: boolean;
}

/** For a row: opens its database with its callers, once, and starts a gateway each time. */
export function tollgate(terms: Terms): (ground: Ground) => Promise<Start> {
  return async (ground) => {
    const folder = await ground.folder();
    // What is stopped under one row must not be another's.
    const server = terms.isDown === true ? await ground.server() : null;
    const database =
      server?.url ?? (terms.store === 'postgres' ? await ground.database() : `sqlite:${folder}/books.db`);
    const issuer = terms.isWithToken === true ? await openIssuer(ground) : undefined;
    const credentials = await addCallers(database, terms.callers ?? 1, issuer);
    return (setting) => start({ terms, folder, database, server, issuer, credentials }, setting);
  };
}

async function openIssuer(ground: Ground): Promise<Issuer> {
  const issuer = await startIssuer();
  ground.whenClosed(issuer.close);
  return issuer;
}

interface Place {
  readonly terms: Terms;
  readonly folder: string;
  readonly database: string;
  /** Its own, where it goes down. */
  readonly server: PostgresServer | null;
  readonly issuer: Issuer | undefined;
  readonly credentials: readonly string[];
}

async function start(place: Place, { upstream, core }: Setting): Promise<Subject> {
  const { folder, database, server, issuer } = place;
  const { workers = 1, isPublic = false } = place.terms;
  const sinceMs = Date.now();
  const config = issuer && { auth: { bearer: [{ issuer: issuer.url, audience: issuer.audience }] } };
  const gateway = await startGateway({
    database,
    folder,
    upstream,
    core,
    workers,
    isPublic,
    ...(config && { config }),
  });
  const credentials = isPublic ? [] : place.credentials;
  if (server !== null) await bringDown(server, gateway, credentials);
  return {
    url: gateway.url,
    credentials,
    pid: gateway.program.pid,
    stop: async () => {
      if (server !== null) await bringBack(server, gateway);
      await gateway.program.stop();
      if (isPublic) return null;
      return withDatabase(database, async ({ db }) => {
        await assertBalanced(db);
        return chargesSince(db, sinceMs);
      });
    },
  };
}

/** Who has called before is served without the database. */
async function bringDown(server: PostgresServer, gateway: Gateway, credentials: readonly string[]): Promise<void> {
  for (const authorization of credentials) {
    const { status } = await fetch(gateway.url, { headers: { authorization } });
    if (status !== 200) throw new Error(`the first call was answered ${status}`);
  }
  await server.halt('SIGINT');
  await gateway.untilMetric('tollgate_store_up', 0);
}

/** What was charged in the meantime is in the journal, and now goes to the ledger. */
async function bringBack(server: PostgresServer, gateway: Gateway): Promise<void> {
  await server.resume();
  await gateway.untilMetric('tollgate_store_up', 1);
  await gateway.untilMetric('tollgate_journal_charges', 0);
}
