// `GET /_tollgate/api/credits`: what the caller has, and whether it suffices.

import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { Meter } from '../meter/meter.ts';
import { getUserCredits } from '../store/credits.ts';
import type { Db } from '../store/database.ts';

export interface CreditsOptions {
  readonly db: Db;
  readonly meter: Pick<Meter, 'standing'>;
}

/** Of a query. The cost of one call where nothing is said. */
const query = Type.Object({
  cost: Type.Integer({ default: 1, minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
});

/** The answer: `held` are credits of calls in flight on this instance, `available` is what new calls may take. */
const standing = Type.Object({
  credits: Type.Integer(),
  held: Type.Integer({ minimum: 0 }),
  available: Type.Integer({ minimum: 0 }),
  sufficient: Type.Boolean(),
});

/** Answers callers about their own credits. */
export async function credits(app: FastifyInstance, { db, meter }: CreditsOptions): Promise<void> {
  app.get<{ Querystring: Type.Static<typeof query> }>('/_tollgate/api/credits', {
    config: { needsCaller: true },
    schema: { querystring: query, response: { 200: standing } },
    handler: async ({ user, query: { cost } }, reply) => {
      if (user === null) throw new Error('nobody was identified');
      const { held, credits: known } = meter.standing(user.userId);
      const balance = known ?? (await getUserCredits(db, user.userId));
      const available = Math.max(0, balance - held);
      reply.header('cache-control', 'no-store');
      return { credits: balance, held, available, sufficient: available >= cost };
    },
  });
}
