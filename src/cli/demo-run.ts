// The demonstration: a sample upstream, an SQLite file in a temporary folder, a user with credits and a key, people to sign in
// as, and the gateway in front, all on loopback and all gone at the end.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGateway } from '../app.ts';
import { type Config, parseConfig } from '../config/config.ts';
import { placeAt } from '../config/normalise.ts';
import { generateKey } from '../identity/api-keys.ts';
import { loginUrlOf, redirectUriOf } from '../identity/sign-in/addresses.ts';
import { openDatabase, transact } from '../store/database.ts';
import { createKey } from '../store/keys.ts';
import { migrateUp } from '../store/migrate.ts';
import { createUser } from '../store/users.ts';
import type { Context } from './command.ts';
import { type DemoProvider, startDemoProvider } from './demo-provider.ts';
import { type DemoUpstream, startDemoUpstream } from './demo-upstream.ts';
import { stopRequested } from './signals.ts';

const host = '127.0.0.1';
const email = 'demo@tollgate.example';
const credits = 5000;
const providerName = 'demo';

/** Runs it until it is told to stop, listening on the port, on 8080, or on a free one. */
export async function runDemo({ output }: Context, port = 8080): Promise<void> {
  const stop = stopRequested();
  const listening = await freePortNear(port);
  const address = `http://${host}:${listening}`;
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const folder = await mkdtemp(join(tmpdir(), 'tollgate-demo-'));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const upstream = await startDemoUpstream(host);
    closers.push(() => upstream.close());
    const provider = await startDemoProvider(host, redirectUriOf(placeAt(address), providerName));
    closers.push(async () => provider?.close());
    const opsPort = await freePortNear(8081);
    const config = demoConfig({ folder, address, listening, opsPort, upstream, provider });
    const key = await prepare(config);
    const gateway = await startGateway(config, { logTo: 2 });
    closers.push(() => gateway.close());
    const url = gateway.address;
    const curl = `curl -i -H 'Authorization: Bearer ${key}' ${url}/anything`;
    const signInUrl = provider === null ? null : loginUrlOf(placeAt(address), providerName, '');
    const portalUrl = provider === null ? null : `${address}/_tollgate/`;
    const told = { url, key, curl, user: email, credits, portalUrl, signInUrl, opsUrl: gateway.opsAddress };
    output.result(told, introduction(url, curl, portalUrl));
    await stop;
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

interface DemoParts {
  readonly folder: string;
  readonly address: string;
  readonly listening: number;
  readonly opsPort: number;
  readonly upstream: DemoUpstream;
  readonly provider: DemoProvider | null;
}

/** The same door as a file goes through; JSON is YAML too. */
function demoConfig({ folder, address, listening, opsPort, upstream, provider }: DemoParts): Config {
  const text = JSON.stringify({
    server: { host, port: listening, ...(provider !== null && { publicUrl: address }) },
    ops: { host, port: opsPort === listening ? 0 : opsPort },
    log: { level: 'warn' },
    database: { url: `sqlite:${join(folder, 'tollgate.db')}`.replaceAll('$', '$$$$') },
    dataDir: folder.replaceAll('$', '$$$$'),
    upstreams: { sample: upstream.url },
    routes: [{ path: '/', upstream: 'sample' }],
    ...(provider !== null && { auth: signInWith(provider) }),
  });
  return parseConfig(text, { file: 'the demo', env: {} }).config;
}

function signInWith({ issuer, clientId, clientSecret, operator }: DemoProvider) {
  return {
    session: { secret: randomBytes(32).toString('base64url') },
    providers: { [providerName]: { issuer, clientId, clientSecret } },
    allow: { emailDomains: ['*'] },
    admins: [`${providerName}:${operator}`],
  };
}

/** Creates the tables, the user and the key, and gives the key. */
async function prepare(config: Config): Promise<string> {
  const database = openDatabase(config.database);
  try {
    await migrateUp(database);
    const newUser = { email, name: null, plan: config.defaultPlan, credits };
    const generated = generateKey();
    await transact(database.db, async (trx) => {
      const { id: userId } = await createUser(trx, newUser, 'demo');
      await createKey(trx, { userId, name: 'demo', limit: null, expiresAt: null }, generated);
    });
    return generated.key;
  } finally {
    await database.close();
  }
}

/** The port if nobody listens there, else one that is free. */
function freePortNear(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', () => (port === 0 ? reject() : freePortNear(0).then(resolve, reject)));
    probe.listen(port, host, () => {
      const { port: found } = probe.address() as AddressInfo;
      probe.close(() => resolve(found));
    });
  });
}

function introduction(url: string, curl: string, portalUrl: string | null): string {
  const portal = `
To see credits, history and keys as a person, open this in a browser and sign in. Ada runs the place as well:

  ${portalUrl}
`;
  return `Tollgate is at ${url}, in front of a sample API. A call that succeeds costs 1 of your ${credits} credits:

  ${curl}
${portalUrl === null ? '' : portal}
There are also /status/500 (a failure costs nothing), /stream and POST /v1/chat/completions. Ctrl-C ends it.`;
}
