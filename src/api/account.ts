// What callers may ask about themselves, below `/_tollgate/api`: what they have, what happened to it, what they used.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller, Meter } from '../meter/meter.ts';
import { type Static, Type } from '../schema/type.ts';
import { getUserCredits } from '../store/credits.ts';
import type { Db } from '../store/database.ts';
import { answerAboutHistory } from './history.ts';

export interface AccountOptions {
  readonly db: Db;
  readonly meter: Pick<Meter, 'standing'>;
}

const config = { needsCaller: 'any' } as const;

/** Answers callers about their own account. */
export async function account(app: FastifyInstance, options: AccountOptions): Promise<void> {
  credits(app, options);
  const userOf = ({ user }: FastifyRequest) => callerOf(user).userId;
  answerAboutHistory(app, options.db, { path: '/_tollgate/api', marks: { config }, isForOperators: false, userOf });
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

function callerOf(user: Caller | null): Caller {
  if (user === null) throw new Error('nobody was identified');
  return user;
}
