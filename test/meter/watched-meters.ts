// Three meters on one database, watched from outside: what the books say is read after each of their exchanges, in one
// statement, which sees the database as some commit has left it; and each message is held against the rows of its sender.

import { sql } from 'kysely';
import type { Test } from 'tap';
import type { Meter } from '../../src/meter/meter.ts';
import type { Database, Db } from '../../src/store/database.ts';
import type { StoreDoor } from '../../src/store/sync/door.ts';
import type { SyncMessage } from '../../src/store/sync/exchange.ts';
import { openAgain, type TestDatabase } from '../helpers/databases.ts';
import { openTestDoor, openTestMeter, passing } from '../helpers/meters.ts';

/** How a user, or a key with a limit, stands after some commit. `left`: credits, or what the limit leaves. */
export interface Standing {
  readonly of: string;
  readonly left: number;
  /** Σ ledger; null for a key. */
  readonly ledger: number | null;
  /** Σ live leases. */
  readonly reserved: number;
}

/** A lease as its instance has it while a message is under way, and the row in the store that it may be at most. */
export interface Use {
  readonly of: string;
  readonly amount: number;
  readonly row: number;
}

export interface Watched {
  readonly meters: readonly Meter[];
  readonly standings: Standing[];
  readonly uses: Use[];
}

const metersCount = 3;

export async function openWatchedMeters(t: Test, test: TestDatabase): Promise<Watched> {
  const standings: Standing[] = [];
  const uses: Use[] = [];
  const meters: Meter[] = [];
  for (let n = 0; n < metersCount; n++) {
    const database = openAgain(t, test);
    const store = watchedDoor(t, database, standings, uses);
    meters.push((await openTestMeter(t, database, { store })).meter);
  }
  return { meters, standings, uses };
}

function watchedDoor(t: Test, database: Database, standings: Standing[], uses: Use[]): StoreDoor {
  const door = openTestDoor(t, database);
  return {
    ...passing(door),
    exchange: async (message, locks) => {
      uses.push(...(await usesIn(database.db, message)));
      const reply = await door.exchange(message, locks);
      standings.push(...(await readStandings(database.db)));
      return reply;
    },
  };
}

/** Users and keys with a limit, in one statement. */
export async function readStandings(db: Db): Promise<Standing[]> {
  const { rows } = await sql<Standing>`
    WITH live AS (SELECT l.user_id, l.key_id, l.amount FROM leases AS l JOIN instances AS i ON i.id = l.instance WHERE NOT i.fenced)
    SELECT u.id AS "of", u.credits AS "left",
      CAST((SELECT coalesce(sum(amount), 0) FROM ledger WHERE user_id = u.id) AS bigint) AS "ledger",
      CAST((SELECT coalesce(sum(amount), 0) FROM live WHERE user_id = u.id) AS bigint) AS "reserved" FROM users AS u
    UNION ALL
    SELECT k.id, k.limit_credits - k.spent, NULL,
      CAST((SELECT coalesce(sum(amount), 0) FROM live WHERE key_id = k.id) AS bigint) FROM api_keys AS k
    WHERE k.limit_credits IS NOT NULL`.execute(db);
  return rows;
}

/** Nobody but the sender changes its rows, and it sends one message at a time: so they stand as its last message left them. */
async function usesIn(db: Db, { instance, leases, charges }: SyncMessage): Promise<Use[]> {
  const rows = await db.selectFrom('leases').selectAll().where('instance', '=', instance).execute();
  return leases.map(({ user, key, keep }) => {
    const sent = charges.filter((charge) => charge.user === user && (charge.key ?? '') === key);
    const row = rows.find(({ user_id, key_id }) => user_id === user && key_id === key)?.amount ?? 0;
    return { of: `${user} ${key}`, amount: sent.reduce((sum, { cost }) => sum + cost, keep), row };
  });
}
