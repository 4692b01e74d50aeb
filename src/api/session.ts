// Who has signed in, for the page that is open in their browser: `/_tollgate/api/session`.

import type { FastifyInstance } from 'fastify';
import { TollgateError } from '../errors.ts';
import type { Meter } from '../meter/meter.ts';
import { Type } from '../schema/type.ts';
import type { Db } from '../store/database.ts';
import { describeSession } from '../store/sessions.ts';

export interface SessionApiOptions {
  readonly db: Db;
  readonly meter: Pick<Meter, 'standing'>;
}

const text = Type.Union([Type.String(), Type.Null()]);

const answer = Type.Object({
  user: Type.Object({
    id: Type.String(),
    email: text,
    name: Type.String(),
    picture: text,
    plan: Type.String(),
    credits: Type.Integer({ description: 'The balance, with what is on its way to the ledger.' }),
  }),
  expiresAt: Type.String({ description: 'When the session ends, if it does not idle for too long before that.' }),
});

/** Answers people about their session. */
export async function sessionApi(app: FastifyInstance, { db, meter }: SessionApiOptions): Promise<void> {
  app.get('/_tollgate/api/session', {
    config: { needsCaller: 'session' },
    schema: { response: { 200: answer } },
    handler: async ({ sessionHash }) => {
      const found = await describeSession(db, sessionHash ?? '');
      if (found === null) throw new TollgateError('TG_AUTH_INVALID');
      const { user, expiresAt } = found;
      return { user: { ...user, credits: meter.standing(user.id).credits ?? user.credits }, expiresAt };
    },
  });
}
