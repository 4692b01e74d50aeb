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
  /** What holds for all of the gateway's own paths, once it is known that they are there. */
  readonly prepare: (scope: FastifyInstance) => void;
}

/** Answers operators. */
export async function adminApi(app: FastifyInstance, options: AdminOptions): Promise<void> {
  app.decorateRequest('operator', '');
  app.addHook('onRequest', async (request) => {
    const operator = await options.findOperator(request);
    if (operator === null) throw new TollgateError('TG_ROUTE_NOT_FOUND');
    request.operator = operator;
  });
  options.prepare(app);
  app.setErrorHandler((error) => {
    throw error instanceof Refusal ? refusalOf(error) : error;
  });
  await app.register(users, options);
  await app.register(userCredits, options);
  await app.register(userKeys, options);
  await app.register(userHistory, options);
  await app.register(totals, options);
  await app.register(status, options);
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
