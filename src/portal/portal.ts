// The portal: pages for people below `/_tollgate`. This file knows which pages there are and who may see them; what makes
// a page is loaded when somebody asks for it, so that a start does not wait for it.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { TollgateError } from '../errors.ts';
import { type LedgerFilter, ledgerFilter } from '../schema/ledger-filter.ts';
import { type TSchema, Type } from '../schema/type.ts';
import { describeSession } from '../store/sessions.ts';
import { assetsPath, serveAssets } from './assets.ts';
import type { PageContext, PageMaker, PortalOptions, Visitor } from './page.ts';
import { baseOf, pageFields } from './place.ts';

interface PagePlace {
  /** Below `/_tollgate`. */
  readonly path: string;
  readonly isForOperators?: true;
  readonly querystring?: TSchema;
  readonly load: () => Promise<PageMaker>;
}

const historyQuery = Type.Object(ledgerFilter);

const places: readonly PagePlace[] = [
  { path: '/', load: async () => (await import('./overview.tsx')).overview },
  { path: '/history', querystring: historyQuery, load: async () => (await import('./history.tsx')).history },
  { path: '/history/:entryId', load: async () => (await import('./receipt.tsx')).receipt },
  { path: '/keys', load: async () => (await import('./keys.tsx')).keys },
];

/** Serves the pages to who has signed in. Who has not finds the way in at `/_tollgate/`, and as the error of the others. */
export async function portal(app: FastifyInstance, options: PortalOptions): Promise<void> {
  await app.register(serveAssets);
  await app.register(async (pages) => {
    // A form sends also what was left empty.
    pages.addHook('preValidation', async ({ query }) => {
      const members = query as Record<string, unknown>;
      for (const [name, value] of Object.entries(members)) if (value === '') delete members[name];
    });
    pages.setErrorHandler(async (error, request, reply) => {
      const isAtDoor = error instanceof TollgateError && error.status === 401;
      if (request.routeOptions.url !== '/_tollgate/' || !isAtDoor) throw error;
      const { doorPage } = await import('./faults.tsx');
      return sendHtml(reply, await doorPage(request, options));
    });
    pages.get('/_tollgate', (_request, reply) => reply.redirect(`${baseOf(options.config)}/`));
    for (const place of places) servePage(pages, place, options);
    serveCsv(pages, options);
  });
}

/**
 * Whether an error is told to a person, and not to a program: at the pages, and at what else browsers are led to. Their
 * programs ask below `/_tollgate/api`.
 */
export function isForPeople({ url, headers }: FastifyRequest): boolean {
  const isOwn = /^\/_tollgate(?:[/?]|$)/.test(url) && !url.startsWith('/_tollgate/api/');
  return isOwn && headers.accept?.includes('text/html') === true;
}

/** What a person sees in place of a page, with the fields that go with it. */
export async function pageOfError(
  error: TollgateError,
  request: FastifyRequest,
  options: Pick<PortalOptions, 'config' | 'signInLinks'>,
): Promise<{ html: string; fields: Readonly<Record<string, string>> }> {
  const { faultPage } = await import('./faults.tsx');
  return { html: await faultPage(error, request, options), fields: pageFields };
}

function servePage(app: FastifyInstance, place: PagePlace, options: PortalOptions): void {
  const { path, isForOperators, querystring, load } = place;
  const base = baseOf(options.config);
  app.get(`/_tollgate${path}`, {
    config: { needsCaller: 'session' },
    ...(querystring !== undefined && { schema: { querystring } }),
    handler: async (request, reply) => {
      const visitor = await visitorOf(request, options);
      if (isForOperators && !visitor.isOperator) throw new TollgateError('TG_ROUTE_NOT_FOUND');
      const { query, params } = request as { query: PageContext['query']; params: PageContext['params'] };
      const [make, { documentOf }] = await Promise.all([load(), import('./layout.tsx')]);
      const { title, body } = await make({ ...options, base, visitor, query, params });
      const assets = base + (await assetsPath());
      return sendHtml(reply, documentOf({ base, assets, title, path, visitor, children: body }));
    },
  });
}

function serveCsv(app: FastifyInstance, { db }: PortalOptions): void {
  app.get<{ Querystring: LedgerFilter }>('/_tollgate/history.csv', {
    config: { needsCaller: 'session' },
    schema: { querystring: historyQuery },
    handler: async ({ user, query }, reply) => {
      if (user === null) throw new Error('nobody was identified');
      const { ledgerCsv } = await import('./csv.ts');
      reply.headers(pageFields).header('content-disposition', 'attachment; filename="tollgate-ledger.csv"');
      return reply.type('text/csv; charset=utf-8').send(ledgerCsv(db, user.userId, query));
    },
  });
}

function sendHtml(reply: FastifyReply, html: string): FastifyReply {
  return reply.headers(pageFields).type('text/html; charset=utf-8').send(html);
}

/** Who has signed in. Throws TG_AUTH_INVALID where the session has ended just now. */
async function visitorOf(request: FastifyRequest, { db, meter, operatorOf }: PortalOptions): Promise<Visitor> {
  const [found, operator] = await Promise.all([describeSession(db, request.sessionHash ?? ''), operatorOf(request)]);
  if (found === null) throw new TollgateError('TG_AUTH_INVALID');
  const { id, email, name, plan, credits: booked } = found.user;
  const credits = meter.standing(id).credits ?? booked;
  return { id, email, name, plan, credits, isOperator: operator !== null };
}
