// How a person or program that an issuer vouches for becomes a user: an identity is a subject of an issuer, and each
// belongs to one user. The starting credits come in the transaction that makes the user, once, whoever else tries.

import { type SqlBool, sql } from 'kysely';
import { type Db, type Trx, transact } from './database.ts';
import { Refusal } from './refusal.ts';
import { createUser } from './users.ts';

/** Somebody, as an issuer describes them. */
export interface Person {
  readonly issuer: string;
  readonly subject: string;
  /** An address that the issuer vouches for; null for any other. */
  readonly email: string | null;
  readonly name: string | null;
  readonly picture: string | null;
}

/** What a user who is new begins with. */
export interface SignUpTerms {
  readonly plan: string;
  readonly credits: number;
  /** Who signs for the starting credits in the ledger. */
  readonly actor: string;
}

/** The user behind an identity. */
export interface KnownUser {
  readonly userId: string;
  readonly isBlocked: boolean;
  /** The starting credits, for a user who was made just now; else null. */
  readonly signedUpWith: number | null;
  /** Whether it is a user of an operator's, whom the identity has claimed just now by the address. */
  readonly isClaimed: boolean;
}

/** As many of the same person may come at once, or of others with the same address, before something is wrong. */
const attemptsMax = 5;

/**
 * The user behind an identity: the one who has it; else a user whom an operator made with this address and who has no
 * identity yet; else a new one. A new user goes without the address when somebody else has it. Name, picture and
 * address follow what the issuer says, the address unless it is taken.
 */
export async function resolveUser(db: Db, person: Person, terms: SignUpTerms): Promise<KnownUser> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const known = await findByIdentity(db, person);
    if (known !== null) {
      if (isStale(known, person)) {
        // Somebody else may take the address in the same moment.
        const withoutAddress = () => refresh(db, known.userId, { ...person, email: null });
        await refresh(db, known.userId, person).catch(withoutAddress);
      }
      return { userId: known.userId, isBlocked: known.isBlocked, signedUpWith: null, isClaimed: false };
    }
    const made = await signUp(db, person, terms);
    if (made !== null) return made;
  }
  throw new Error('an identity is neither there nor can it be added');
}

/** Whether an identity has a user already. */
export async function hasIdentity(db: Db, person: Pick<Person, 'issuer' | 'subject'>): Promise<boolean> {
  return (await findByIdentity(db, person)) !== null;
}

type Facts = Pick<Person, 'email' | 'name' | 'picture'>;

interface FoundUser {
  readonly userId: string;
  readonly isBlocked: boolean;
  readonly email: string | null;
  readonly name: string;
  readonly picture: string | null;
}

async function findByIdentity(
  db: Db,
  { issuer, subject }: Pick<Person, 'issuer' | 'subject'>,
): Promise<FoundUser | null> {
  const row = await db
    .selectFrom('identities as i')
    .innerJoin('users as u', 'u.id', 'i.user_id')
    .select(['u.id', 'u.blocked_at', 'u.email', 'u.name', 'u.picture'])
    .where('i.issuer', '=', issuer)
    .where('i.subject', '=', subject)
    .executeTakeFirst();
  if (row === undefined) return null;
  const { id: userId, blocked_at, ...user } = row;
  return { userId, isBlocked: blocked_at !== null, ...user };
}

function isStale(user: FoundUser, person: Person): boolean {
  return (['email', 'name', 'picture'] as const).some((fact) => person[fact] !== null && person[fact] !== user[fact]);
}

/** What the issuer does not say stays as it is. */
async function refresh(db: Db, userId: string, { email, name, picture }: Facts): Promise<void> {
  const isFree = sql<SqlBool>`NOT EXISTS (SELECT 1 FROM users AS other WHERE lower(other.email) = lower(${email}) AND other.id <> ${userId})`;
  await db
    .updateTable('users')
    .set((column) => ({
      ...(name !== null && { name }),
      ...(picture !== null && { picture }),
      ...(email !== null && { email: sql<string>`CASE WHEN ${isFree} THEN ${email} ELSE ${column.ref('email')} END` }),
      updated_at: new Date().toISOString(),
    }))
    .where('id', '=', userId)
    .execute();
}

/** Null when somebody else came first: with this identity, or as a user with this address. */
async function signUp(db: Db, person: Person, terms: SignUpTerms): Promise<KnownUser | null> {
  const lostRace = new Error('somebody else came first');
  try {
    return await transact(db, async (trx) => {
      const user = (await claimOperatorsUser(trx, person)) ?? (await newUser(trx, person, terms));
      const { issuer, subject } = person;
      const added = await trx
        .insertInto('identities')
        .values({ issuer, subject, user_id: user.userId })
        .onConflict((conflict) => conflict.doNothing())
        .returning('user_id')
        .executeTakeFirst();
      if (added === undefined) throw lostRace;
      return user;
    });
  } catch (error) {
    if (error === lostRace || (error instanceof Refusal && error.code === 'EMAIL_TAKEN')) return null;
    throw error;
  }
}

/** A user with this address who is known by nothing else yet; locked, so that one identity alone can claim it. */
async function claimOperatorsUser(trx: Trx, { email, name, picture }: Person): Promise<KnownUser | null> {
  if (email === null) return null;
  const user = await trx
    .updateTable('users')
    .set((column) => ({ email: column.ref('email') }))
    .where(sql`lower(email)`, '=', sql<string>`lower(${email})`)
    .returning(['id', 'blocked_at'])
    .executeTakeFirst();
  if (user === undefined) return null;
  const identity = trx.selectFrom('identities').select('subject').where('user_id', '=', user.id);
  if ((await identity.executeTakeFirst()) !== undefined) return null;
  await refresh(trx, user.id, { email: null, name, picture });
  return { userId: user.id, isBlocked: user.blocked_at !== null, signedUpWith: null, isClaimed: true };
}

async function newUser(trx: Trx, person: Person, { plan, credits, actor }: SignUpTerms): Promise<KnownUser> {
  const taken = await trx
    .selectFrom('users')
    .select('id')
    .where(sql`lower(email)`, '=', sql<string>`lower(${person.email})`)
    .executeTakeFirst();
  const email = taken === undefined ? person.email : null;
  const { picture, subject } = person;
  const name = person.name ?? (email === null ? subject : null);
  const { id } = await createUser(trx, { email, name, picture, plan, credits }, actor);
  return { userId: id, isBlocked: false, signedUpWith: credits, isClaimed: false };
}
