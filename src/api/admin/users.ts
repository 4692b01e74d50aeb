// Users, as operators see them: who there is, what they have, and whether they may call.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { BaseLogger } from 'pino';
import type { Config } from '../../config/config.ts';
import { TollgateError } from '../../errors.ts';
import { type Static, Type } from '../../schema/type.ts';
import { getReservedCredits } from '../../store/credits.ts';
import { type Db, transact } from '../../store/database.ts';
import { findUserPage } from '../../store/user-pages.ts';
import { blockUser, createUser, getUser, setPlan, type User, unblockUser } from '../../store/users.ts';

export interface UsersOptions extends Pick<Config, 'plans' | 'defaultPlan'> {
  readonly db: Db;
  readonly log: Pick<BaseLogger, 'info'>;
}

const text = Type.Union([Type.String(), Type.Null()]);
/** Some text on one line. */
export const line = (maxLength: number) => Type.String({ maxLength, pattern: '^(?=.*\\S)[^\\p{Cc}\\p{Cs}]+$' });

const facts = {
  id: Type.String(),
  email: Type.Union([Type.String(), Type.Null()], { description: 'None for a service account.' }),
  name: Type.String(),
  plan: Type.String(),
  credits: Type.Integer({ description: 'The balance, as the ledger has it.' }),
  createdAt: Type.String(),
  updatedAt: Type.String(),
  blockedAt: text,
};
const shown = Type.Object(facts);

/** Answers operators about users. */
export async function users(app: FastifyInstance, options: UsersOptions): Promise<void> {
  list(app, options);
  show(app, options);
  create(app, options);
  change(app, options);
}

function list(app: FastifyInstance, { db }: UsersOptions): void {
  const querystring = Type.Object({
    search: Type.Optional(
      Type.String({ maxLength: 254, pattern: '^\\P{Cc}*$', description: 'What the id, name or address holds.' }),
    ),
    sort: Type.Enum(['created', 'email', 'name', 'credits'], { default: 'created' }),
    order: Type.Enum(['asc', 'desc'], { default: 'desc' }),
    cursor: Type.Optional(
      Type.String({ maxLength: 2_048, description: '`next` of the page before, of the same order.' }),
    ),
    limit: Type.Integer({ default: 50, minimum: 1, maximum: 200 }),
  });
  const next = Type.Union([Type.String(), Type.Null()], {
    description:
      'Null at the end. Where few users hold what is searched for, a page before the end may be short, or empty.',
  });
  const page = Type.Object({ users: Type.Array(shown), next });
  app.get<{ Querystring: Static<typeof querystring> }>('/_tollgate/api/admin/users', {
    schema: { querystring, response: { 200: page } },
    handler: async ({ query }) => {
      const found = await findUserPage(db, query);
      if (found !== null) return found;
      throw new TollgateError('TG_INPUT_INVALID', { input: 'the cursor is of another order, or none' });
    },
  });
}

interface ById {
  Params: { id: string };
}

function show(app: FastifyInstance, { db }: UsersOptions): void {
  const reserved = Type.Integer({ minimum: 0, description: 'What gateways have reserved of the balance for calls.' });
  app.get<ById>('/_tollgate/api/admin/users/:id', {
    schema: { response: { 200: Type.Object({ ...facts, reserved }) } },
    handler: async ({ params: { id } }) => {
      const user = await getUser(db, idOf(id));
      return { ...user, reserved: await getReservedCredits(db, user.id) };
    },
  });
}

const newUser = Type.Object(
  {
    email: Type.Optional(Type.Union([Type.String({ maxLength: 254, pattern: '^[!-?A-~]+@[!-?A-~]+$' }), Type.Null()])),
    name: Type.Optional(line(128)),
    plan: Type.Optional(line(64)),
  },
  { additionalProperties: false },
);

function create(app: FastifyInstance, { db, log, plans, defaultPlan }: UsersOptions): void {
  app.post<{ Body: Static<typeof newUser> }>('/_tollgate/api/admin/users', {
    schema: { body: newUser, response: { 201: shown } },
    handler: async ({ operator: actor, body: { email = null, name = null, plan = defaultPlan } }, reply) => {
      const credits = creditsOfPlan(plans, plan);
      const user = await transact(db, (trx) => createUser(trx, { email, name, plan, credits }, actor));
      log.info({ actor, user: user.id, kind: 'signup', amount: credits, balance: credits }, 'signup');
      return reply.code(201).send(user);
    },
  });
}

const changes = Type.Object(
  { plan: Type.Optional(line(64)), blocked: Type.Optional(Type.Boolean()) },
  { additionalProperties: false, minProperties: 1 },
);

function change(app: FastifyInstance, { db, log, plans }: UsersOptions): void {
  app.patch<ById & { Body: Static<typeof changes> }>('/_tollgate/api/admin/users/:id', {
    schema: { body: changes, response: { 200: shown } },
    handler: async ({ operator: actor, params: { id }, body: { plan, blocked } }) => {
      if (plan !== undefined) creditsOfPlan(plans, plan);
      const user = await transact(db, async (trx) => {
        const found = await getUser(trx, idOf(id));
        const planned = plan === undefined ? found : await setPlan(trx, found.id, plan);
        if (blocked === undefined) return planned;
        return blocked ? blockUser(trx, found.id) : unblockUser(trx, found.id);
      });
      log.info({ actor, user: user.id, plan, blocked }, 'a user was changed');
      return user;
    },
  });
}

function creditsOfPlan(plans: Config['plans'], plan: string): number {
  const found = Object.hasOwn(plans, plan) ? plans[plan] : undefined;
  if (found !== undefined) return found.startingCredits;
  throw new TollgateError('TG_INPUT_INVALID', { input: `plan must be one of ${Object.keys(plans).join(', ')}` });
}

/** PostgreSQL takes no NUL in a text: what can be no id is not asked for. */
export function idOf(id: string): User['id'] {
  if (id.includes('\0')) throw new TollgateError('TG_USER_NOT_FOUND');
  return id;
}

/** For the paths below one user: the id of that user. Refuses USER_NOT_FOUND. */
export function userIn(db: Db): (request: FastifyRequest) => Promise<string> {
  return async ({ params }) => (await getUser(db, idOf((params as ById['Params']).id))).id;
}
