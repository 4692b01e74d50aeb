// The portal: pages for people below `/_tollgate`. This file knows which pages there are and who may see them; what makes
// a page is loaded when somebody asks for it, so that a start does not wait for it.

import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { TollgateError } from '../errors.ts';
import { type LedgerFilter, ledgerFilter } from '../schema/ledger-filter.ts';
import { Type } from '../schema/type.ts';
import type { Db } from '../store/database.ts';
import { isOutage } from '../store/outage.ts';
import { describeSession } from '../store/sessions.ts';
import { assetsPath, serveAssets } from './assets.ts';
import type { PageContext, PagePlace, PortalOptions, Visitor } from './page.ts';
import { baseOf, pageFields } from './place.ts';

const historyQuery = Type.Object(ledgerFilter);

const places: readonly PagePlace[] = [
  { path: '/', load: async () => (await import('./overview.tsx')).overview },
  { path: '/history', querystring: historyQuery, load: async () => (await import('./history.tsx')).history },
  { path: '/history/:entryId', load: async () => (await import('./receipt.tsx')).receipt },
  { path: '/keys', load: async () => (await import('./keys.tsx')).keys },
];

/** Serves the pages to who has signed in. Who has not finds the way in at `/_tollgate/`, and as the error of the others. */
export async function portal(
  app: FastifyInstance,
  { operatorPlaces, ...options }: PortalOptions & { readonly operatorPlaces: readonly PagePlace[] },
): Promise<void> {
  await app.register(serveAssets);
  await app.register(async (pages) => {
    pages.addHook('preValidation', leaveOutWhatIsEmpty);
    pages.setErrorHandler(async (error, request, reply) => {
      const isAtDoor = error instanceof TollgateError && error.status === 401;
      if (request.routeOptions.url !== '/_tollgate/' || !isAtDoor) throw error;
      const { doorPage } = await import('./faults.tsx');
      return sendHtml(reply, await doorPage(request, options));
    });
    pages.get('/_tollgate', (_request, reply) => reply.redirect(`${baseOf(options.config)}/`));
    const isOperator = async (request: FastifyRequest) => (await options.operatorOf(request)) !== null;
    for (const place of places) servePage(pages, place, options, isOperator);
    serveCsv(pages, options);
  });
  await app.register(async (pages) => {
    keepFromOthers(pages, options);
    pages.addHook('preValidation', leaveOutWhatIsEmpty);
    const home = `${baseOf(options.config)}/admin/users`;
    pages.get('/_tollgate/admin', forWhoHasSignedIn, (_request, reply) => reply.redirect(home));
    pages.get('/_tollgate/admin/*', forWhoHasSignedIn, () => {
      throw new TollgateError('TG_ROUTE_NOT_FOUND');
    });
    for (const place of operatorPlaces) servePage(pages, place, options, () => true);
  });
}

const forWhoHasSignedIn = { config: { needsCaller: 'session' } } as const;

/**
 * To everybody but operators the pages are not there, whatever they show and whatever else is wrong with what they ask.
 * While the database is down nobody is known to be one, and who shows a session is told so at every path alike.
 */
function keepFromOthers(app: FastifyInstance, { operatorOf }: PortalOptions): void {
  app.addHook('onRequest', async (request) => {
    if ((await operatorOf(request)) === null) throw new TollgateError('TG_ROUTE_NOT_FOUND');
  });
  app.setErrorHandler((error: Error, { user }) => {
    const isOut = isOutage(error) || (error instanceof TollgateError && error.code === 'TG_STORE_UNAVAILABLE');
    throw user === null && !isOut ? new TollgateError('TG_ROUTE_NOT_FOUND', {}, error) : error;
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

function servePage(
  app: FastifyInstance,
  { path, querystring, load }: PagePlace,
  options: PortalOptions,
  isOperator: (request: FastifyRequest) => boolean | Promise<boolean>,
): void {
  const base = baseOf(options.config);
  app.get(`/_tollgate${path}`, {
    ...forWhoHasSignedIn,
    ...(querystring !== undefined && { schema: { querystring } }),
    handler: async (request, reply) => {
      const [found, isOneOfThem] = await Promise.all([visitorOf(request, options), isOperator(request)]);
      const visitor = { ...found, isOperator: isOneOfThem };
      const { query, params } = request as { query: PageContext['query']; params: PageContext['params'] };
      const [make, { documentOf }] = await Promise.all([load(), import('./layout.tsx')]);
      const { title, body } = await make({ ...options, base, visitor, query, params });
      const assets = base + (await assetsPath());
      return sendHtml(reply, documentOf({ base, assets, title, path, visitor, children: body }));
    },
  });
}

/** So many files at once are made for one user. */
const filesMax = 2;

function serveCsv(app: FastifyInstance, { db }: PortalOptions): void {
  const underWay = new Map<string, number>();
  app.get<{ Querystring: LedgerFilter }>('/_tollgate/history.csv', {
    ...forWhoHasSignedIn,
    schema: { querystring: historyQuery },
    handler: async ({ user, query }, reply) => {
      if (user === null) throw new Error('nobody was identified');
      const { userId } = user;
      const count = underWay.get(userId) ?? 0;
      if (count >= filesMax) throw new TollgateError('TG_RATE_LIMITED', { retryAfter: 10 });
      underWay.set(userId, count + 1);
      const isDone = () => {
        const left = (underWay.get(userId) ?? 1) - 1;
        if (left === 0) underWay.delete(userId);
        else underWay.set(userId, left);
      };
      const csv = await csvOf(db, userId, query).catch((error) => {
        isDone();
        throw error;
      });
      csv.once('close', isDone);
      reply.headers(pageFields).header('content-disposition', 'attachment; filename="tollgate-ledger.csv"');
      return reply.type('text/csv; charset=utf-8').send(csv);
    },
  });
}

async function csvOf(db: Db, userId: string, filter: LedgerFilter): Promise<Readable> {
  const { ledgerCsv } = await import('./csv.ts');
  return ledgerCsv(db, userId, filter);
}

/** A form sends also what was left empty. */
async function leaveOutWhatIsEmpty({ query }: FastifyRequest): Promise<void> {
  const members = query as Record<string, unknown>;
  for (const [name, value] of Object.entries(members)) if (value === '') delete members[name];
}

function sendHtml(reply: FastifyReply, html: string): FastifyReply {
  return reply.headers(pageFields).type('text/html; charset=utf-8').send(html);
}

/** Who has signed in. Throws TG_AUTH_INVALID where the session has ended just now. */
async function visitorOf(request: FastifyRequest, { db, meter }: PortalOptions): Promise<Omit<Visitor, 'isOperator'>> {
  const found = await describeSession(db, request.sessionHash ?? '');
  if (found === null) throw new TollgateError('TG_AUTH_INVALID');
  const { id, email, name, plan, credits: booked } = found.user;
  return { id, email, name, plan, credits: meter.standing(id).credits ?? booked };
}
