// Who uses what, over all users: totals by the hour, the day, the route or the user.

import type { FastifyInstance } from 'fastify';
import { time, usageRange } from '../../schema/times.ts';
import { type Static, Type } from '../../schema/type.ts';
import type { Db } from '../../store/database.ts';
import { sumUsage } from '../../store/history.ts';

const count = Type.Integer({ minimum: 0 });

/** Answers operators about the use of everything. */
export async function totals(app: FastifyInstance, { db }: { readonly db: Db }): Promise<void> {
  const querystring = Type.Object({
    from: time('Hours from then on. By default 30 days before `to`.'),
    to: time('Hours before then. By default now.'),
    by: Type.Enum(['route', 'user', 'day', 'hour'], { default: 'route' }),
    limit: Type.Integer({ default: 100, minimum: 1, maximum: 1_000 }),
  });
  const row = Type.Object({ key: Type.String(), calls: count, charged: count, failed: count, refused: count });
  const answer = Type.Object({
    from: Type.String(),
    to: Type.String(),
    rows: Type.Array(row, { description: 'Times in their order; the rest by calls, the most first.' }),
    hasMore: Type.Boolean(),
  });
  app.get<{ Querystring: Static<typeof querystring> }>('/_tollgate/api/admin/usage', {
    schema: { querystring, response: { 200: answer } },
    handler: async ({ query: { by, limit, ...asked } }) => {
      const { from, to } = usageRange(asked);
      const found = await sumUsage(db, { by, from, to, limit: limit + 1 });
      return { from, to, rows: found.slice(0, limit), hasMore: found.length > limit };
    },
  });
}
