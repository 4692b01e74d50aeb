// The API keys of any user, for operators.

import type { FastifyInstance } from 'fastify';
import type { BaseLogger } from 'pino';
import { answerAboutKeys, type KeysOptions } from '../keys.ts';
import { userIn } from './users.ts';

export interface UserKeysOptions extends KeysOptions {
  readonly log: Pick<BaseLogger, 'info'>;
}

/** Answers operators about the keys of one user. */
export async function userKeys(app: FastifyInstance, options: UserKeysOptions): Promise<void> {
  answerAboutKeys(app, options, {
    path: '/_tollgate/api/admin/users/:id/keys',
    reading: {},
    changing: {},
    userOf: userIn(options.db),
    whenChanged: ({ operator: actor }, what, { id: key, userId: user }) =>
      options.log.info({ actor, user, key }, `an API key was ${what}`),
  });
}
