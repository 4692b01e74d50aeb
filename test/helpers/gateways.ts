// Whole gateways for tests: a configuration, a real database, a real upstream, ports that the system picks.

import type { RequestListener } from 'node:http';
import type { Test } from 'tap';
import { type Gateway, startGateway } from '../../src/app.ts';
import { type Config, parseConfig } from '../../src/config/config.ts';
import { generateKey } from '../../src/identity/api-keys.ts';
import { createKey } from '../../src/store/keys.ts';
import { type Dialect, emptyDatabase, type TestDatabase, temporaryFolder } from './databases.ts';
import { noteCredential, noteCredentialIn, noteLog } from './evidence.ts';
import { addUser } from './meters.ts';
import { startUpstream, type TestUpstream } from './upstreams.ts';

export interface TestGateway {
  readonly gateway: Gateway;
  readonly upstream: TestUpstream;
  readonly test: TestDatabase;
  /** Parsed lines of its log, from the level `info` on. */
  readonly log: Record<string, unknown>[];
  /** Adds a user with credits and returns a key of theirs. */
  newKey(user: string, credits: number, terms?: { limit?: number; expiresAt?: string }): Promise<string>;
  call(key: string | null, path?: string, init?: RequestInit): Promise<Response>;
}

/** Further keys, in YAML: `key: value, key: value`. */
export interface Settings {
  readonly server?: string;
  readonly upstream?: string;
  readonly shutdownTimeout?: string;
  /** Of `auth`. */
  readonly auth?: string;
  /** Where clients connect; a free port by default. */
  readonly port?: number;
  /** The database of another gateway; an empty one by default. */
  readonly database?: TestDatabase;
  /** What else is said of the database, in YAML. */
  readonly databaseTerms?: string;
  /** A folder of its own by default. */
  readonly dataDir?: string;
  /** What no file can say: a preset that is somewhere else. */
  readonly adjust?: (config: Config) => Config;
}

/** `routes` is the YAML under `routes:`; upstream `api` is a test upstream that answers with `answer`. */
export async function startTestGateway(
  t: Test,
  dialect: Dialect,
  routes: string,
  answer?: RequestListener,
  settings: Settings = {},
): Promise<TestGateway> {
  const { server = '', upstream: upstreamSettings = '', shutdownTimeout = '2s', auth = '', port = 0 } = settings;
  const upstream = await startUpstream(t, answer);
  const test = settings.database ?? (await emptyDatabase(t, dialect));
  const text = [
    `server: { host: 127.0.0.1, port: ${port}, shutdownTimeout: ${shutdownTimeout}, ${server} }`,
    'ops: { host: 127.0.0.1, port: 0 }',
    // What is logged at the lower levels is searched for credentials too.
    'log: { level: trace }',
    `database: { url: "${test.url}", schema: ${test.schema}, ${settings.databaseTerms ?? ''} }`,
    `dataDir: ${settings.dataDir ?? (await temporaryFolder(t))}`,
    `upstreams: { api: { targets: ["${upstream.url}"], ${upstreamSettings} } }`,
    `auth: { ${auth} }`,
    `routes:\n${routes}`,
  ].join('\n');
  const parsed = parseConfig(text, { file: 'test.yaml', env: {} }).config;
  const config = settings.adjust?.(parsed) ?? parsed;
  const log: Record<string, unknown>[] = [];
  const write = (line: string) => {
    noteLog(line);
    const told = JSON.parse(line);
    if (told.level !== 'debug' && told.level !== 'trace') log.push(told);
  };
  const gateway = await startGateway(config, { logTo: { write } });
  t.teardown(() => gateway.close());
  return {
    gateway,
    upstream,
    test,
    log,
    newKey: async (user, credits, terms = {}) => {
      await addUser(test.database, user, credits);
      const generated = generateKey();
      const { limit = null, expiresAt = null } = terms;
      await createKey(test.database.db, { userId: user, name: 'test', limit, expiresAt }, generated);
      return noteCredential(generated.key);
    },
    call: (key, path = '/', init = {}) => {
      const headers = new Headers(init.headers);
      if (key !== null) headers.set('authorization', `Bearer ${key}`);
      for (const name of ['authorization', 'x-api-key']) noteCredentialIn(headers.get(name));
      return fetch(`${gateway.address}${path}`, { redirect: 'manual', ...init, headers });
    },
  };
}
