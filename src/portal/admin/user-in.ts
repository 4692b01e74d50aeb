// The user that a page is about.

import { TollgateError } from '../../errors.ts';
import { Refusal } from '../../store/refusal.ts';
import { getUser, type User } from '../../store/users.ts';
import type { PageContext } from '../page.ts';

/** The one whose id is in the path. Throws TG_USER_NOT_FOUND. */
export async function userIn({ db, params }: Pick<PageContext, 'db' | 'params'>): Promise<User> {
  const { id = '' } = params;
  // PostgreSQL takes no NUL in a text.
  if (id.includes('\0')) throw new TollgateError('TG_USER_NOT_FOUND');
  try {
    return await getUser(db, id);
  } catch (error) {
    throw error instanceof Refusal ? new TollgateError('TG_USER_NOT_FOUND', {}, error) : error;
  }
}
