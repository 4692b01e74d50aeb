// What each page asks of the store, and how long it waits for it: by the gateway's own pool, with its own limits.

import { getReservedCredits } from '../../../src/store/credits.ts';
import { type Db, openDatabase } from '../../../src/store/database.ts';
import {
  findEntry,
  type LedgerPage,
  listLedger,
  sumUsage,
  sumUsageOverTime,
  sumUserUsage,
} from '../../../src/store/history.ts';
import { describeInstances } from '../../../src/store/instances.ts';
import { listKeys } from '../../../src/store/keys.ts';
import { describeSession } from '../../../src/store/sessions.ts';
import { getUser, listUsersBy, type UserOrder } from '../../../src/store/users.ts';
import { withDatabase } from '../callers.ts';
import { Ground } from '../ground.ts';
import { userIdOf } from '../growth/fill.ts';
import { describeMachine } from '../machine.ts';
import { busyUser, fillPages, type PagesSize, sessionHashOf } from './fill-pages.ts';
import { type PagesReport, reportPage } from './pages-report.ts';

export interface PagesPlan extends PagesSize {
  readonly runs: number;
}

/** As a gateway has them: `database.poolSize`, and what it allows a statement. */
const pool = { poolSize: 10, statementTimeoutMs: 2_000 };
const dayMs = 24 * 60 * 60_000;

/** Who asks: somebody else in each run. */
interface Asker {
  readonly db: Db;
  readonly user: string;
  /** An entry of the busy user, in the middle of its ledger. */
  readonly entry: string;
}

type Ask = (asker: Asker) => Promise<unknown>;

/** Fills a database and asks for every page in turn, so often; `progress` hears of it. */
export async function runPages(plan: PagesPlan, progress: (line: string) => void): Promise<PagesReport> {
  const { users, rows, runs } = plan;
  const ground = new Ground();
  try {
    const url = await ground.database();
    await withDatabase(url, (database) => fillPages(database, plan));
    progress(`filled: ${users} users, ${rows} entries`);
    const database = openDatabase({ url, schema: 'public', ...pool });
    ground.whenClosed(() => database.close());
    const entry = await middleOf(database.db);
    const taken = new Map<string, number[]>(Object.keys(pages).map((title) => [title, []]));
    for (let run = 0; run < runs; run++) {
      const user = userIdOf((run * 7_919) % users);
      for (const [title, ask] of Object.entries(pages)) {
        const startMs = performance.now();
        await ask({ db: database.db, user, entry });
        taken.get(title)?.push(performance.now() - startMs);
      }
      progress(`run ${run + 1} of ${runs}`);
    }
    const reports = [...taken].map(([title, ms]) => reportPage(title, ms));
    return { machine: describeMachine(), users, rows, runs, pages: reports };
  } finally {
    await ground.close();
  }
}

async function middleOf(db: Db): Promise<string> {
  const ids = db.selectFrom('ledger').select('id').where('user_id', '=', busyUser).orderBy('id');
  const { count } = await db
    .selectFrom('ledger')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('user_id', '=', busyUser)
    .executeTakeFirstOrThrow();
  return (
    await ids
      .offset(Math.floor(count / 2))
      .limit(1)
      .executeTakeFirstOrThrow()
  ).id;
}

const pages: Readonly<Record<string, Ask>> = {
  'who has signed in': ({ db, user }) => describeSession(db, sessionHashOf(user)),
  overview: ({ db, user }) => overview(db, user),
  'overview, 100,000 entries': ({ db }) => overview(db, busyUser),
  history: ({ db }) => history(db, {}),
  'history, in the middle': ({ db, entry }) => history(db, { before: entry }),
  'history by kind': ({ db }) => history(db, { kind: 'charge' }),
  'history by route': ({ db }) => history(db, { route: 'route-3' }),
  'history by key': ({ db }) => history(db, { keyId: 'key_busy_7' }),
  'history by time': ({ db }) => history(db, { from: ago(3 * dayMs), to: ago(dayMs) }),
  'history by kind, a rare one': ({ db }) => history(db, { kind: 'topup' }),
  'history by kind, none to be found': ({ db }) => history(db, { kind: 'refund' }),
  receipt: ({ db, entry }) => Promise.all([findEntry(db, busyUser, entry), listKeys(db, busyUser)]),
  'history as CSV, what is read at once': ({ db }) => listLedger(db, busyUser, { limit: 500 }),
  keys: ({ db }) => listKeys(db, busyUser),
  'users by time': sorted('created'),
  'users by address': sorted('email'),
  'users by name': sorted('name'),
  'users by credits': sorted('credits'),
  'users by name, the second page': async ({ db }) => {
    const order = { by: 'name', isDescending: false } as const;
    const { next } = await listUsersBy(db, order, { limit: 50 });
    return listUsersBy(db, order, { after: next ?? undefined, limit: 50 });
  },
  'users, a search': ({ db, user }) => search(db, user),
  'users, a search that finds nobody': ({ db }) => search(db, 'nobody at all'),
  'one user': ({ db, user }) =>
    Promise.all([getUser(db, user), getReservedCredits(db, user), overview(db, user), listKeys(db, user)]),
  'use by route, 30 days': ({ db }) => sumUsage(db, { by: 'route', ...lastDays(30), limit: 1_000 }),
  'use by day and route, 30 days': ({ db }) =>
    sumUsageOverTime(db, { bucket: 'day', isByRoute: true, ...lastDays(30), limit: 30_000 }),
  'use by hour and route, 48 hours': ({ db }) =>
    sumUsageOverTime(db, { bucket: 'hour', isByRoute: true, from: ago(2 * dayMs), to: ago(0), limit: 30_000 }),
  'who uses most, 7 days': ({ db }) => sumUsage(db, { by: 'user', ...lastDays(7), limit: 10 }),
  state: ({ db }) => describeInstances(db),
};

function overview(db: Db, user: string): Promise<unknown> {
  return Promise.all([
    describeSession(db, sessionHashOf(user)),
    sumUserUsage(db, user, { bucket: 'day', isByRoute: true, ...lastDays(30), limit: 30_000 }),
    listLedger(db, user, { limit: 8 }),
  ]);
}

function history(db: Db, page: Partial<LedgerPage>): Promise<unknown> {
  return Promise.all([listLedger(db, busyUser, { ...page, limit: 50 }), listKeys(db, busyUser)]);
}

function sorted(by: UserOrder): Ask {
  return ({ db }) => listUsersBy(db, { by, isDescending: true }, { limit: 50 });
}

function search(db: Db, text: string): Promise<unknown> {
  return listUsersBy(db, { by: 'created', isDescending: true }, { search: text, limit: 50 });
}

/** Whole days up to the end of today, as the charts have them. */
function lastDays(count: number): { from: string; to: string } {
  const endMs = (Math.floor(Date.now() / dayMs) + 1) * dayMs;
  return { from: new Date(endMs - count * dayMs).toISOString(), to: new Date(endMs).toISOString() };
}

function ago(ms: number): string {
  return new Date(Date.now() - ms).toISOString();
}
