// Tollgate as a subject of the proxy suite: the whole gateway on SQLite, with one user and a key. Each case has a gateway of
// its own, which has to be in order when the case is over: no hold open, no charge lost, the books right.

import { strict as assert } from 'node:assert';
import type { Test } from 'tap';
import { type Gateway, startGateway } from '../../src/app.ts';
import { parseConfig } from '../../src/config/config.ts';
import { generateKey } from '../../src/identity/api-keys.ts';
import { createKey } from '../../src/store/keys.ts';
import { findUser } from '../../src/store/users.ts';
import { emptyDatabase, type TestDatabase, temporaryFolder } from '../helpers/databases.ts';
import { noteCredential, noteLog } from '../helpers/evidence.ts';
import { addUser } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';
import { type ProxyCase, runCase } from './proxy-case.ts';
import type { Subject, SubjectOptions } from './subject.ts';

const credits = 1000;

/** For one case: the largest takes a few seconds. */
const caseMsMax = 30_000;

interface TollgateSubject extends Subject {
  /** Each call costs one credit. Known once it is closed. */
  charges(): number;
}

/** Makes a test of each case. */
export function testCases(t: Test, cases: readonly ProxyCase[]): void {
  for (const proxyCase of cases) {
    t.test(proxyCase.name, async (t) => {
      const opened: TollgateSubject[] = [];
      await runCase(proxyCase, caseMsMax, async (upstreamUrl, options) => {
        const subject = await openTollgate(t, upstreamUrl, options);
        opened.push(subject);
        return subject;
      });
      t.ok(opened.length > 0, 'kept, with no hold left open');
      const charged = opened.reduce((sum, subject) => sum + subject.charges(), 0);
      if (proxyCase.charges !== undefined) t.equal(charged, proxyCase.charges, 'charges');
    });
  }
}

/** Starts a gateway in front of the upstream. */
async function openTollgate(t: Test, upstreamUrl: string, options: SubjectOptions): Promise<TollgateSubject> {
  const test = await emptyDatabase(t, 'sqlite');
  const dataDir = await temporaryFolder(t);
  const { config } = parseConfig(configText({ dataDir, url: test.url }, upstreamUrl, options), {
    file: 'suite.yaml',
    env: {},
  });
  const gateway = await startGateway(config, { logTo: { write: noteLog } });
  t.teardown(() => gateway.close());
  await addUser(test.database, 'u', credits);
  const generated = generateKey();
  noteCredential(generated.key);
  await createKey(test.database.db, { userId: 'u', name: 'suite', limit: null, expiresAt: null }, generated);
  let charged = 0;
  return {
    port: Number(new URL(gateway.address).port),
    credential: [`X-Api-Key: ${generated.key}`],
    charges: () => charged,
    close: async () => {
      await untilNoHold(gateway);
      assert.deepEqual(await gateway.close(), { chargesLeft: 0 });
      charged = await chargesIn(test);
    },
  };
}

interface Place {
  readonly dataDir: string;
  readonly url: string;
}

/** YAML is a superset of JSON. */
function configText({ dataDir, url }: Place, upstreamUrl: string, options: SubjectOptions): string {
  const { readTimeoutMs, responseHeaderTimeoutMs, preserveHost = false } = options;
  const upstream = {
    targets: [upstreamUrl],
    preserveHost,
    ...(readTimeoutMs !== undefined && { readTimeout: `${readTimeoutMs}ms` }),
    ...(responseHeaderTimeoutMs !== undefined && { responseHeaderTimeout: `${responseHeaderTimeoutMs}ms` }),
  };
  return JSON.stringify({
    server: { host: '127.0.0.1', port: 0, shutdownTimeout: '2s' },
    ops: { host: '127.0.0.1', port: 0 },
    log: { level: 'trace' },
    database: { url },
    dataDir,
    upstreams: { api: upstream },
    routes: [{ path: '/', upstream: 'api' }],
  });
}

async function untilNoHold({ opsAddress }: Gateway): Promise<void> {
  const holdsOpen = async () => {
    const metrics = await (await fetch(`${opsAddress}/metrics`)).text();
    return Number(/^tollgate_holds_open (\d+)$/m.exec(metrics)?.[1]);
  };
  await until(holdsOpen, (open) => open === 0);
}

/** The number of charges in the ledger; the balance has to say the same. */
async function chargesIn({ database }: TestDatabase): Promise<number> {
  const charges = database.db.selectFrom('ledger').where('kind', '=', 'charge');
  const { count } = await charges.select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow();
  assert.equal(credits - (await findUser(database.db, 'u')).credits, count, 'the balance is what the ledger says');
  return count;
}
