// What happened to the credits of one user, and what was used: callers ask about themselves, operators about anybody.

import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify';
import { TollgateError } from '../errors.ts';
import { isEntryId, ledgerFilter, ledgerKinds, ledgerPageOf } from '../schema/ledger-filter.ts';
import { time, usageRange } from '../schema/times.ts';
import { type Static, Type } from '../schema/type.ts';
import { type Db, endings } from '../store/database.ts';
import { findEntry, listLedger, sumUserUsage } from '../store/history.ts';

/** Whose history is answered about, and where. */
export interface HistoryPlace {
  /** What the paths begin with. */
  readonly path: string;
  /** How the routes are marked. */
  readonly marks: { readonly config?: FastifyContextConfig };
  /** Whether it is told who moved the credits. */
  readonly isForOperators: boolean;
  userOf(request: FastifyRequest): string | Promise<string>;
}

const count = Type.Integer({ minimum: 0 });
const text = Type.Union([Type.String(), Type.Null()]);

const facts = {
  id: Type.String(),
  kind: Type.Enum([...ledgerKinds]),
  amount: Type.Integer({ description: 'Signed.' }),
  route: text,
  keyId: text,
  requestId: text,
  status: Type.Union([Type.Integer(), Type.Null()]),
  ended: Type.Union([Type.Enum([...endings]), Type.Null()], {
    description: 'How the call of a charge ended: why it was charged. Null for all else, and for charges of old.',
  }),
  note: text,
  createdAt: Type.String(),
};
/** Who moved the credits stays with the operator. */
const entryForCallers = Type.Object(facts);
const entryForOperators = Type.Object({ ...facts, actor: text });

/** Answers about the ledger, page by page and one entry at a time, and about use. */
export function answerAboutHistory(app: FastifyInstance, db: Db, place: HistoryPlace): void {
  ledger(app, db, place);
  entry(app, db, place);
  usage(app, db, place);
}

function ledger(app: FastifyInstance, db: Db, { path, marks, isForOperators, userOf }: HistoryPlace): void {
  const querystring = Type.Object({
    ...ledgerFilter,
    limit: Type.Integer({ default: 50, minimum: 1, maximum: 200 }),
  });
  const shown = isForOperators ? entryForOperators : entryForCallers;
  const page = Type.Object({ entries: Type.Array(shown), next: text });
  app.get<{ Querystring: Static<typeof querystring> }>(`${path}/ledger`, {
    ...marks,
    schema: { querystring, response: { 200: page } },
    handler: async (request) => {
      const { limit, ...filter } = request.query;
      return listLedger(db, await userOf(request), { ...ledgerPageOf(filter), limit });
    },
  });
}

function entry(app: FastifyInstance, db: Db, { path, marks, isForOperators, userOf }: HistoryPlace): void {
  app.get<{ Params: { entryId: string } }>(`${path}/ledger/:entryId`, {
    ...marks,
    schema: { response: { 200: isForOperators ? entryForOperators : entryForCallers } },
    handler: async (request) => {
      const { entryId } = request.params;
      const user = await userOf(request);
      const found = isEntryId(entryId) ? await findEntry(db, user, entryId) : null;
      if (found === null) throw new TollgateError('TG_ENTRY_NOT_FOUND');
      return found;
    },
  });
}

const usageRowsMax = 1_000;

function usage(app: FastifyInstance, db: Db, { path, marks, userOf }: HistoryPlace): void {
  const querystring = Type.Object({
    from: time('Hours from then on. By default 30 days before `to`.'),
    to: time('Hours before then. By default now.'),
    bucket: Type.Enum(['hour', 'day'], { default: 'day' }),
    by: Type.Optional(Type.Enum(['route'])),
  });
  const row = Type.Object({
    start: Type.String(),
    route: text,
    calls: count,
    charged: count,
    failed: count,
    refused: count,
  });
  const answer = Type.Object({
    from: Type.String(),
    to: Type.String(),
    rows: Type.Array(row),
    hasMore: Type.Boolean({ description: 'Whether there are more rows than one answer has. Ask for a shorter range.' }),
  });
  app.get<{ Querystring: Static<typeof querystring> }>(`${path}/usage`, {
    ...marks,
    schema: { querystring, response: { 200: answer } },
    handler: async (request) => {
      const { bucket, by, ...asked } = request.query;
      const { from, to } = usageRange(asked);
      const wanted = { bucket, isByRoute: by === 'route', from, to, limit: usageRowsMax + 1 };
      const found = await sumUserUsage(db, await userOf(request), wanted);
      return { from, to, rows: found.slice(0, usageRowsMax), hasMore: found.length > usageRowsMax };
    },
  });
}
