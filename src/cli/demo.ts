// The command that shows the product with nothing to prepare: a sample upstream, an SQLite file in a temporary folder, a
// user with credits and a key, and the gateway in front, all on loopback and all gone at the end.

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Option } from 'commander';
import { type Config, parseConfig } from '../config/config.ts';
import { generateKey } from '../identity/api-keys.ts';
import { openDatabase } from '../store/database.ts';
import { createKey } from '../store/keys.ts';
import { migrateUp } from '../store/migrate.ts';
import { createUser } from '../store/users.ts';
import type { Command } from './command.ts';
import { startDemoUpstream } from './demo-upstream.ts';
import { stopRequested } from './signals.ts';
import { parsePort } from './values.ts';

const host = '127.0.0.1';
const email = 'demo@tollgate.example';
const credits = 5000;

export const demoCommand: Command<{ port?: number }> = {
  name: 'demo',
  summary: 'run a gateway in front of a sample API, with nothing to prepare',
  details:
    'Needs no configuration: SQLite in a temporary folder, a user with 5000 credits and an API key. Listens on loopback ' +
    'only, on 8080 and 8081 or on free ports. Ctrl-C ends it and leaves nothing behind.',
  options: [new Option('--port <port>', 'where to listen (default: 8080, or a free one)').argParser(parsePort)],
  examples: ['demo', 'demo --port 9000'],
  run: async ({ output }, { port }) => {
    const stop = stopRequested();
    const folder = await mkdtemp(join(tmpdir(), 'tollgate-demo-'));
    const upstream = await startDemoUpstream(host);
    try {
      const config = demoConfig(
        folder,
        upstream.url,
        port ?? (await freePortNear(8080)),
        await freePortNear(8081, port),
      );
      const key = await prepare(config);
      // Loaded here alone: operators' commands start faster without a server.
      const { startGateway } = await import('../app.ts');
      const gateway = await startGateway(config, { logTo: 2 });
      const url = gateway.address;
      const curl = `curl -i -H 'Authorization: Bearer ${key}' ${url}/anything`;
      output.result({ url, key, curl, user: email, credits, opsUrl: gateway.opsAddress }, introduction(url, curl));
      await stop;
      await gateway.close();
    } finally {
      await upstream.close();
      await rm(folder, { recursive: true, force: true });
    }
    return undefined;
  },
};

/** The same door as a file goes through; JSON is YAML too. */
function demoConfig(folder: string, upstreamUrl: string, port: number, opsPort: number): Config {
  const text = JSON.stringify({
    server: { host, port },
    ops: { host, port: opsPort },
    log: { level: 'warn' },
    database: { url: `sqlite:${join(folder, 'tollgate.db')}`.replaceAll('$', '$$$$') },
    dataDir: folder.replaceAll('$', '$$$$'),
    upstreams: { sample: upstreamUrl },
    routes: [{ path: '/', upstream: 'sample' }],
  });
  return parseConfig(text, { file: 'the demo', env: {} }).config;
}

/** Creates the tables, the user and the key, and gives the key. */
async function prepare(config: Config): Promise<string> {
  const database = openDatabase(config.database);
  try {
    await migrateUp(database);
    const newUser = { email, name: null, plan: config.defaultPlan, credits };
    const generated = generateKey();
    await database.db.transaction().execute(async (trx) => {
      const { id: userId } = await createUser(trx, newUser, 'demo');
      await createKey(trx, { userId, name: 'demo', limit: null, expiresAt: null }, generated);
    });
    return generated.key;
  } finally {
    await database.close();
  }
}

/** The port if nobody listens there, else 0, which takes a free one. */
function freePortNear(port: number, taken?: number): Promise<number> {
  if (port === taken) return Promise.resolve(0);
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(0));
    probe.listen(port, host, () => probe.close(() => resolve(port)));
  });
}

function introduction(url: string, curl: string): string {
  return `Tollgate is at ${url}, in front of a sample API. A call that succeeds costs 1 of your ${credits} credits:

  ${curl}

There are also /status/500 (a failure costs nothing), /stream and POST /v1/chat/completions. Ctrl-C ends it.`;
}
