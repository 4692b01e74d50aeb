// What a page is: made for one request, of somebody who has signed in, as a title and what stands below it.

import type { FastifyRequest } from 'fastify';
import type { VNode } from 'preact';
import type { Config } from '../config/config.ts';
import type { Meter } from '../meter/meter.ts';
import type { TSchema } from '../schema/type.ts';
import type { Db } from '../store/database.ts';

/** Whom people can sign in with. */
export interface SignInLink {
  readonly label: string;
  readonly url: string;
}

export interface PortalOptions {
  readonly db: Db;
  readonly meter: Pick<Meter, 'standing' | 'state'>;
  readonly config: Pick<Config, 'server' | 'auth' | 'routes' | 'plans' | 'defaultPlan' | 'topUpUrl'>;
  /** Credits by which balances differ from their ledger; null where another process looks. */
  readonly driftOf: () => number | null;
  /** Whom people can sign in with; afterwards they come back to the path. */
  readonly signInLinks: (returnTo: string) => readonly SignInLink[];
  /** By what name the ledger knows who has signed in, if that is an operator. Rejects as look-ups do. */
  readonly operatorOf: (request: FastifyRequest) => Promise<string | null>;
}

/** Who looks at the page. */
export interface Visitor {
  readonly id: string;
  readonly email: string | null;
  readonly name: string;
  readonly plan: string;
  /** The balance, with what is on its way to the ledger. */
  readonly credits: number;
  readonly isOperator: boolean;
}

/** What a page is made of. */
export interface PageContext<Query = Readonly<Record<string, string | undefined>>> extends PortalOptions {
  /** What the paths of the portal begin with, as browsers see them: `/_tollgate`, with the prefix of the proxy in front. */
  readonly base: string;
  readonly visitor: Visitor;
  readonly query: Query;
  readonly params: Readonly<Record<string, string>>;
}

export interface Page {
  readonly title: string;
  readonly body: VNode;
}

/** Makes a page. */
export type PageMaker = (context: PageContext) => Promise<Page>;

/** Where a page is. What makes it is loaded when somebody asks for it. */
export interface PagePlace {
  /** Below `/_tollgate`. */
  readonly path: string;
  readonly querystring?: TSchema;
  readonly load: () => Promise<PageMaker>;
}
