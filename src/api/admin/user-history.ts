// What happened to the credits of any user, for operators.

import type { FastifyInstance } from 'fastify';
import type { Db } from '../../store/database.ts';
import { answerAboutHistory } from '../history.ts';
import { userIn } from './users.ts';

/** Answers operators about the history of one user. */
export async function userHistory(app: FastifyInstance, { db }: { readonly db: Db }): Promise<void> {
  const path = '/_tollgate/api/admin/users/:id';
  answerAboutHistory(app, db, { path, marks: {}, isForOperators: true, userOf: userIn(db) });
}
