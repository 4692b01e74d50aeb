// How operators move credits: each change names who, when and why, and is made once, however often its request comes.

import type { FastifyInstance } from 'fastify';
import type { BaseLogger } from 'pino';
import { type Static, Type } from '../../schema/type.ts';
import { bookOnce, type Claim } from '../../store/claims.ts';
import { type Booking, deductUserCredits, grantCredits, setCredits } from '../../store/credits.ts';
import { type Db, transact } from '../../store/database.ts';
import { idOf, line } from './users.ts';

export interface UserCreditsOptions {
  readonly db: Db;
  readonly log: Pick<BaseLogger, 'info'>;
}

const amount = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const balance = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const note = line(500);
const exactly = { additionalProperties: false } as const;

const changeSchema = Type.Union(
  [
    Type.Object({ kind: Type.Enum(['grant', 'topup', 'refund']), amount, note }, exactly),
    Type.Object({ kind: Type.Enum(['deduct']), amount, note, force: Type.Optional(Type.Boolean()) }, exactly),
    Type.Object({ kind: Type.Enum(['set']), credits: balance, ifCredits: Type.Integer(), note }, exactly),
  ],
  {
    description:
      '`deduct` leaves at least 0, and what calls in flight have reserved, unless `force` says otherwise. `set` changes ' +
      'nothing when the balance is not `ifCredits` any more.',
  },
);

const booked = Type.Object({
  entryId: Type.Union([Type.String(), Type.Null()], { description: 'None where there was nothing to change.' }),
  userId: Type.String(),
  kind: Type.String(),
  amount: Type.Integer({ description: 'Signed.' }),
  balance: Type.Integer({ description: 'Afterwards.' }),
});

const headers = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      description: 'The same key with the same body again changes nothing and is answered as before.',
      pattern: '^[!-~]{1,255}$',
    }),
  ),
});

type Change = Static<typeof changeSchema>;

/** Lets operators move credits. */
export async function userCredits(app: FastifyInstance, { db, log }: UserCreditsOptions): Promise<void> {
  app.post<{ Params: { id: string }; Body: Change }>('/_tollgate/api/admin/users/:id/credits', {
    schema: { body: changeSchema, headers, response: { 200: booked } },
    handler: async ({ operator: actor, params, body, headers }) => {
      const userId = idOf(params.id);
      const key = headers['idempotency-key'] as string | undefined;
      const book = (claim?: Claim) => carryOut(db, userId, body, { actor, note: body.note, claim });
      const request = { key: `${actor} ${key}`, userId, request: JSON.stringify(body) };
      const booking = key === undefined ? { ...(await book()), isRepeat: false } : await bookOnce(db, request, book);
      const { isRepeat, ...answer } = booking;
      const { entryId: entry, kind, amount, balance } = answer;
      if (!isRepeat) log.info({ actor, user: userId, entry, kind, amount, balance, note: body.note }, kind);
      return answer;
    },
  });
}

interface Reason {
  readonly actor: string;
  readonly note: string;
  readonly claim: Claim | undefined;
}

function carryOut(db: Db, userId: string, change: Change, reason: Reason): Promise<Booking> {
  switch (change.kind) {
    case 'deduct':
      return deductUserCredits(db, userId, change.amount, { ...reason, isForced: change.force === true });
    case 'set':
      return transact(db, (trx) => setCredits(trx, userId, change.credits, { ...reason, ifCurrent: change.ifCredits }));
    default:
      return transact(db, (trx) => grantCredits(trx, userId, change.amount, { ...reason, kind: change.kind }));
  }
}
