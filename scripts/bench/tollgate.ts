// The rows of Tollgate: a gateway as its users start one, default logging included, in front of the upstream, with one
// user whose credits never end. After each run the gateway is stopped and the books are read.

import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { generateKey } from '../../src/identity/api-keys.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { createKey } from '../../src/store/keys.ts';
import { migrateUp } from '../../src/store/migrate.ts';
import { createUser, findUser } from '../../src/store/users.ts';
import { freePort } from '../free-port.ts';
import type { Issuer } from './issuer.ts';
import { type Program, startProgram } from './programs.ts';
import type { Setting, Subject } from './row.ts';

const credits = 2 ** 40;
const readyMsMax = 15_000;
const lookEveryMs = 20;

/** What the load calls with: the key of a user, where nothing is said. */
export interface Access {
  /** Then with a token of this issuer. */
  readonly issuer?: Issuer;
  /** Then with nothing, and nobody is charged. */
  readonly isPublic?: boolean;
}

/** Starts a gateway over the database, with a user of its own. `folder` is for its files. */
export async function startTollgate(
  url: string,
  folder: string,
  { upstream, core }: Setting,
  { issuer, isPublic = false }: Access = {},
): Promise<Subject> {
  const { userId, key } = await withDatabase(url, (database) => addCaller(database, issuer));
  const [port, opsPort] = [await freePort(), await freePort()];
  const config = {
    server: { host: '127.0.0.1', port },
    ops: { host: '127.0.0.1', port: opsPort },
    database: { url },
    dataDir: folder,
    upstreams: { api: upstream },
    routes: [{ path: '/', upstream: 'api', ...(isPublic && { auth: 'none' }) }],
    ...(issuer !== undefined && { auth: { bearer: [{ issuer: issuer.url, audience: issuer.audience }] } }),
  };
  const file = join(folder, 'gateway.yaml');
  await writeFile(file, JSON.stringify(config));
  const program = startProgram('../../src/cli.js', ['start', '--config', file], { core, hasChannel: false });
  await untilReady(program, `http://127.0.0.1:${opsPort}/readyz`);
  return {
    url: `http://127.0.0.1:${port}`,
    headers: { authorization: `Bearer ${issuer === undefined ? key : await issuer.token(userId)}` },
    pid: program.pid,
    stop: async () => {
      await program.stop();
      if (isPublic) return null;
      return withDatabase(url, ({ db }) => chargesOf(db, userId));
    },
  };
}

/** With an issuer, the id of the user is the subject there. */
async function addCaller(database: Database, issuer?: Issuer): Promise<{ userId: string; key: string }> {
  await migrateUp(database);
  const caller = { email: null, name: 'bench', plan: 'Basic', credits };
  const { id: userId } = await database.db.transaction().execute((trx) => createUser(trx, caller, 'bench'));
  if (issuer !== undefined) {
    const identity = { issuer: issuer.url, subject: userId, user_id: userId };
    await database.db.insertInto('identities').values(identity).execute();
  }
  const generated = generateKey();
  await createKey(database.db, { userId, name: 'bench', limit: null, expiresAt: null }, generated);
  return { userId, key: generated.key };
}

/** The number of the user's charges. A call costs one credit, so the balance must say the same. */
async function chargesOf(db: Database['db'], userId: string): Promise<number> {
  const charges = db.selectFrom('ledger').where('user_id', '=', userId).where('kind', '=', 'charge');
  const { count } = await charges.select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow();
  const user = await findUser(db, userId);
  assert.equal(credits - user.credits, count, 'what left the balance is what the ledger holds');
  return count;
}

async function withDatabase<T>(url: string, use: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase({ url, schema: 'public', poolSize: 1 });
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

async function untilReady(program: Program, url: string): Promise<void> {
  const endMs = performance.now() + readyMsMax;
  for (;;) {
    program.ended.throwIfAborted();
    const isReady = await fetch(url).then(
      (answer) => answer.ok,
      () => false,
    );
    if (isReady) return;
    if (performance.now() > endMs) throw new Error(`Tollgate was not ready after ${readyMsMax} ms`);
    await setTimeout(lookEveryMs);
  }
}
