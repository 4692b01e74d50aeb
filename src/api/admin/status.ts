// How the gateway stands: its instances and what they have reserved, the journal, the database, and whether the books are
// right. What one process alone knows, the one that answers tells of itself.

import type { FastifyInstance } from 'fastify';
import type { Meter } from '../../meter/meter.ts';
import { Type } from '../../schema/type.ts';
import { type Db, isPostgres } from '../../store/database.ts';
import { describeInstances } from '../../store/instances.ts';

export interface StatusOptions {
  readonly db: Db;
  readonly meter: Pick<Meter, 'state'>;
  /** Credits by which balances differ from their ledger, as far as they were looked over; null where another process looks. */
  readonly driftOf: () => number | null;
}

const count = Type.Integer({ minimum: 0 });
const seconds = Type.Number({ minimum: 0 });

const answer = Type.Object({
  instance: Type.String({ description: 'The one that answers, of which `calls` and `journal` are.' }),
  instances: Type.Union(
    [
      Type.Array(
        Type.Object({
          id: Type.String(),
          startedAt: Type.String(),
          messages: Type.Integer({ description: 'Sent to the database since the start.' }),
          leases: Type.Integer({ description: 'Users and limited keys for which it has reserved credits.' }),
          leasedCredits: Type.Integer(),
        }),
      ),
      Type.Null(),
    ],
    { description: 'Null while the database is down, which alone knows them.' },
  ),
  calls: Type.Object({ held: count, oldestSeconds: seconds }),
  journal: Type.Object({
    charges: Type.Integer({ description: 'Not yet in the database.' }),
    oldestSeconds: seconds,
    fault: Type.Union([Type.String(), Type.Null()]),
  }),
  database: Type.Object({
    kind: Type.Enum(['postgres', 'sqlite']),
    isUp: Type.Boolean(),
    secondsSinceSync: Type.Union([seconds, Type.Null()], {
      description:
        'Since it last answered an exchange of charges and leases, which is asked twice a second or more. Null before it has.',
    }),
  }),
  drift: Type.Union([count, Type.Null()], {
    description:
      'Credits by which balances differ from their ledger: 0 in books that are right. Null with several workers.',
  }),
});

/** Answers operators about the state of the gateway. */
export async function status(app: FastifyInstance, { db, meter, driftOf }: StatusOptions): Promise<void> {
  app.get('/_tollgate/api/admin/status', {
    schema: { response: { 200: answer } },
    handler: async () => {
      const state = meter.state();
      return {
        instance: state.instance,
        instances: state.isStoreUp ? await describeInstances(db) : null,
        calls: { held: state.holdsOpen, oldestSeconds: state.oldestHoldSeconds },
        journal: {
          charges: state.unsentCharges,
          oldestSeconds: state.oldestUnsentSeconds,
          fault: state.journalFault,
        },
        database: {
          kind: isPostgres(db) ? ('postgres' as const) : ('sqlite' as const),
          isUp: state.isStoreUp,
          secondsSinceSync: state.secondsSinceSync,
        },
        drift: driftOf(),
      };
    },
  });
}
