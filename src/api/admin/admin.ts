// What operators may ask and do, below `/_tollgate/api/admin`. To everybody else these paths do not exist, whatever they show.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type ErrorCode, TollgateError } from '../../errors.ts';
import { Refusal, type RefusalCode } from '../../store/refusal.ts';
import { type UserKeysOptions, userKeys } from './keys.ts';
import { type StatusOptions, status } from './status.ts';
import { totals } from './totals.ts';
import { type UserCreditsOptions, userCredits } from './user-credits.ts';
import { userHistory } from './user-history.ts';
import { type UsersOptions, users } from './users.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, at the paths of operators: what the ledger calls them. */
    operator: string;
  }
}

export interface AdminOptions extends UsersOptions, UserCreditsOptions, UserKeysOptions, StatusOptions {
  /** Who asks, by the name that the ledger has for them; null for who is no operator. */
  readonly findOperator: (request: FastifyRequest) => Promise<string | null>;
  /** What holds for the gateway's own paths that need the store. */
  readonly prepare: (scope: FastifyInstance) => void;
}

/** Answers operators. */
export async function adminApi(app: FastifyInstance, options: AdminOptions): Promise<void> {
  app.decorateRequest('operator', '');
  app.addHook('onRequest', async (request, reply) => {
    const operator = await options.findOperator(request);
    if (operator === null) throw new TollgateError('TG_ROUTE_NOT_FOUND');
    request.operator = operator;
    reply.header('cache-control', 'no-store');
  });
  app.setErrorHandler((error) => {
    throw error instanceof Refusal ? refusalOf(error) : error;
  });
  // How the gateway stands is asked when it stands badly.
  await app.register(status, options);
  await app.register(async (rest) => {
    options.prepare(rest);
    await rest.register(users, options);
    await rest.register(userCredits, options);
    await rest.register(userKeys, options);
    await rest.register(userHistory, options);
    await rest.register(totals, options);
  });
}

const codes: Record<RefusalCode, ErrorCode> = {
  USER_NOT_FOUND: 'TG_USER_NOT_FOUND',
  EMAIL_TAKEN: 'TG_EMAIL_TAKEN',
  KEY_NOT_FOUND: 'TG_KEY_NOT_FOUND',
  KEY_REVOKED: 'TG_KEY_NOT_FOUND',
  KEY_EXPIRED: 'TG_KEY_NOT_FOUND',
  CREDITS_INSUFFICIENT: 'TG_BALANCE_TOO_LOW',
  CREDITS_RESERVED: 'TG_CREDITS_RESERVED',
  CREDITS_CHANGED: 'TG_BALANCE_CHANGED',
  CREDITS_OUT_OF_RANGE: 'TG_BALANCE_OUT_OF_RANGE',
  IDEMPOTENCY_KEY_USED: 'TG_IDEMPOTENCY_KEY_USED',
  IDEMPOTENCY_KEY_BUSY: 'TG_IDEMPOTENCY_KEY_BUSY',
};

function refusalOf(refusal: Refusal): TollgateError {
  return new TollgateError(codes[refusal.code], { reason: refusal.message }, refusal);
}
