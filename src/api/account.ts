// What callers may ask about themselves, below `/_tollgate/api`: what they have, what happened to it, what they used.

import type { FastifyInstance } from 'fastify';
import { TollgateError } from '../errors.ts';
import type { Caller, Meter } from '../meter/meter.ts';
import { type Static, Type } from '../schema/type.ts';
import { getUserCredits } from '../store/credits.ts';
import type { Db } from '../store/database.ts';
import { listLedger, sumUserUsage } from '../store/history.ts';

export interface AccountOptions {
  readonly db: Db;
  readonly meter: Pick<Meter, 'standing'>;
}

const config = { needsCaller: 'any' } as const;
const dayMs = 24 * 60 * 60_000;

/** A moment in UTC or with an offset, or a day, which begins at midnight UTC. */
const time = (description: string) =>
  Type.Optional(
    Type.String({ description, pattern: '^[12]\\d{3}-', anyOf: [{ format: 'date-time' }, { format: 'date' }] }),
  );
const count = Type.Integer({ minimum: 0 });

/** Answers callers about their own account. */
export async function account(app: FastifyInstance, options: AccountOptions): Promise<void> {
  credits(app, options);
  ledger(app, options);
  usage(app, options);
}

const standing = Type.Object({
  credits: Type.Integer({ description: 'The balance.' }),
  held: Type.Integer({ minimum: 0, description: 'Held by calls in flight on the answering instance.' }),
  available: Type.Integer({ minimum: 0, description: 'What new calls may take.' }),
  sufficient: Type.Boolean({ description: 'Whether that covers `cost`.' }),
});

function credits(app: FastifyInstance, { db, meter }: AccountOptions): void {
  const querystring = Type.Object({
    cost: Type.Integer({ default: 1, minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  });
  app.get<{ Querystring: Static<typeof querystring> }>('/_tollgate/api/credits', {
    config,
    schema: { querystring, response: { 200: standing } },
    handler: async ({ user, query: { cost } }) => {
      const { userId } = callerOf(user);
      const { held, credits: known } = meter.standing(userId);
      const balance = known ?? (await getUserCredits(db, userId));
      const available = Math.max(0, balance - held);
      return { credits: balance, held, available, sufficient: available >= cost };
    },
  });
}

const kinds = ['signup', 'charge', 'grant', 'topup', 'refund', 'adjustment'] as const;
const text = Type.Union([Type.String(), Type.Null()]);

/** Who moved the credits stays with the operator. */
const entry = Type.Object({
  id: Type.String(),
  kind: Type.Enum([...kinds]),
  amount: Type.Integer({ description: 'Signed.' }),
  route: text,
  keyId: text,
  requestId: text,
  status: Type.Union([Type.Integer(), Type.Null()]),
  note: text,
  createdAt: Type.String(),
});

function ledger(app: FastifyInstance, { db }: AccountOptions): void {
  const querystring = Type.Object({
    cursor: Type.Optional(Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' })),
    limit: Type.Integer({ default: 50, minimum: 1, maximum: 200 }),
    kind: Type.Optional(Type.Enum([...kinds])),
    from: time('Booked then or later.'),
    to: time('Booked before.'),
  });
  const page = Type.Object({ entries: Type.Array(entry), next: text });
  app.get<{ Querystring: Static<typeof querystring> }>('/_tollgate/api/ledger', {
    config,
    schema: { querystring, response: { 200: page } },
    handler: async ({ user, query: { cursor, limit, kind, from, to } }) => {
      const range = { from: momentOf(from), to: momentOf(to) };
      const found = await listLedger(db, callerOf(user).userId, { before: cursor, kind, ...range, limit: limit + 1 });
      const entries = found.slice(0, limit);
      return { entries, next: found.length > limit ? (entries.at(-1)?.id ?? null) : null };
    },
  });
}

const usageRowsMax = 1_000;
const usageDays = 30;

function usage(app: FastifyInstance, { db }: AccountOptions): void {
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
  app.get<{ Querystring: Static<typeof querystring> }>('/_tollgate/api/usage', {
    config,
    schema: { querystring, response: { 200: answer } },
    handler: async ({ user, query: { bucket, by, ...asked } }) => {
      const to = momentOf(asked.to) ?? new Date().toISOString();
      const from = momentOf(asked.from) ?? new Date(Date.parse(to) - usageDays * dayMs).toISOString();
      const wanted = { bucket, isByRoute: by === 'route', from, to, limit: usageRowsMax + 1 };
      const found = await sumUserUsage(db, callerOf(user).userId, wanted);
      return { from, to, rows: found.slice(0, usageRowsMax), hasMore: found.length > usageRowsMax };
    },
  });
}

function callerOf(user: Caller | null): Caller {
  if (user === null) throw new Error('nobody was identified');
  return user;
}

function momentOf(written: string | undefined): string | undefined {
  if (written === undefined) return undefined;
  const moment = new Date(written);
  // A leap second fits the format.
  if (Number.isNaN(moment.getTime())) throw new TollgateError('TG_INPUT_INVALID', { input: `${written} is no moment` });
  return moment.toISOString();
}
