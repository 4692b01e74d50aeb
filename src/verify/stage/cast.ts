// Who takes part: users that never run out, users that soon do, some whose balance is edited, a key with a limit, and keys
// that are revoked; with the routes that they call.

import { generateKey } from '../../identity/api-keys.ts';
import { type Database, type Db, transact } from '../../store/database.ts';
import { createKey } from '../../store/keys.ts';
import { createUser } from '../../store/users.ts';
import type { Random } from './random.ts';

export type Role = 'rich' | 'poor' | 'edited' | 'limited' | 'revoked';

export interface Player {
  readonly role: Role;
  readonly user: string;
  /** What the user began with. */
  readonly credits: number;
  /** The key that is used; another one takes its place when it is revoked. */
  key: Key;
}

export interface Key {
  readonly id: string;
  readonly secret: string;
  readonly limit: number | null;
}

/** Gets each key that is made: no log may ever hold it. */
export type OnKey = (secret: string) => void;

/** What calls can cost, by the name of the route. */
export const routes = { cheap: 1, dear: 7 } as const;
export type RouteName = keyof typeof routes;

const numbers: Readonly<Record<Role, number>> = { rich: 4, poor: 5, edited: 3, limited: 1, revoked: 2 };
const richCredits = 1_000_000;
const keyLimit = 600;

/** Makes users and keys. */
export async function makeCast({ db }: Database, random: Random, onKey: OnKey): Promise<Player[]> {
  const cast: Player[] = [];
  for (const role of Object.keys(numbers) as Role[]) {
    for (let i = 1; i <= numbers[role]; i++) {
      const credits = role === 'poor' ? 20 + random.below(150) : role === 'edited' ? 300 : richCredits;
      const newUser = { email: `${role}-${i}@verify.example`, name: null, plan: 'Basic', credits };
      const { id: user } = await transact(db, (trx) => createUser(trx, newUser, 'verify'));
      cast.push({ role, user, credits, key: await makeKey(db, user, role === 'limited' ? keyLimit : null, onKey) });
    }
  }
  return cast;
}

/** A new key for a user. */
export async function makeKey(db: Db, user: string, limit: number | null, onKey: OnKey): Promise<Key> {
  const generated = generateKey();
  onKey(generated.key);
  const { id } = await createKey(db, { userId: user, name: 'verify', limit, expiresAt: null }, generated);
  return { id, secret: generated.key, limit };
}
