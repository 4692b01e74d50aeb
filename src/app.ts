// The map of the program: it makes the parts and registers them in the order in which a request meets them.

import { setTimeout } from 'node:timers/promises';
import fastify, { type FastifyInstance, LogController } from 'fastify';
import type { DestinationStream, Logger } from 'pino';
import { type Identities, openIdentities } from './app/identities.ts';
import { meterObserver, serving } from './app/meter-terms.ts';
import { registerOwnPaths, type VisitorOf } from './app/own-paths.ts';
import { errorPagesOf } from './app/portal.ts';
import type { Config } from './config/config.ts';
import { answerError, type ErrorAnswerOptions, registerErrorHandler } from './error-handler.ts';
import { LastKnown } from './fallback/last-known.ts';
import { prepareClosing } from './gateway/closing.ts';
import { corsFields } from './gateway/cors.ts';
import { hostOf } from './gateway/fields.ts';
import { gateway } from './gateway/gateway.ts';
import { serverOptions, watchIntake } from './gateway/intake.ts';
import { OpenCalls } from './gateway/open-calls.ts';
import { compileTrust, readPeer } from './gateway/peer.ts';
import { routerUrlOf, routing } from './gateway/routing.ts';
import { siteOf } from './gateway/site.ts';
import { Attempts, attemptLimits } from './identity/attempts.ts';
import { credentialFields, identity } from './identity/identity.ts';
import type { Meter } from './meter/meter.ts';
import { openMeter } from './meter/open-meter.ts';
import { DriftWatch } from './observability/drift.ts';
import { createLogger } from './observability/logger.ts';
import { Metrics } from './observability/metrics.ts';
import { observe } from './observability/observe.ts';
import { createOps } from './observability/ops.ts';
import { obstaclesOf, warningsOf } from './observability/readiness.ts';
import { requestIdOf } from './observability/request-id.ts';
import { type Database, openDatabase } from './store/database.ts';
import { migrateWhileAnswered, migrationStatus } from './store/migrate.ts';
import { openStoreDoor } from './store/sync/door.ts';

export interface Gateway {
  /** `http://host:port` where clients connect. */
  readonly address: string;
  /** Empty for a worker: the operators' door is its parent's. */
  readonly opsAddress: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Why it should get no calls for the moment; empty when it should. */
  obstacles(): string[];
  /** What an operator should look at, although calls are served. */
  warnings(): string[];
  /**
   * Ends calls in flight within `shutdownTimeout`, hands in all charges, frees everything. Returns how many charges the
   * store did not take: they stay in the journal. Safe to call twice.
   */
  close(): Promise<{ chargesLeft: number }>;
}

export interface StartOptions {
  /** Where the log goes: 1 is stdout, 2 stderr, or a stream. */
  readonly logTo?: 1 | 2 | DestinationStream;
  /**
   * Its number, for one of several processes that share the port. What is there once for all of them is their parent's
   * then: the operators' door, the watch over the books.
   */
  readonly worker?: number;
}

/** How long a kept-alive connection may idle: longer than the balancers in front, so that they close first. */
const keepAliveTimeoutMs = 75_000;

/** How long one statement may take on PostgreSQL, look-ups for calls first of all. */
const statementTimeoutMs = 2_000;

/** Opens the store, starts the gateway and the operators' door. Throws what stands in the way, with nothing left open. */
export async function startGateway(config: Config, { logTo = 1, worker }: StartOptions = {}): Promise<Gateway> {
  const log = await createLogger(config.log, logTo, worker);
  const isAlone = worker === undefined;
  const closers: (() => Promise<unknown>)[] = [];
  let chargesLeft = 0;
  let closing: Promise<{ chargesLeft: number }> | null = null;
  // The last that was opened is closed first.
  const closeAll = async () => {
    log.info(isAlone ? 'tollgate is stopping' : 'a worker is stopping');
    const faults: unknown[] = [];
    // One that fails keeps no other open, and the process not alive.
    for (const closer of closers.toReversed()) await closer().catch((fault) => faults.push(fault));
    if (faults.length > 0) throw faults[0];
    return { chargesLeft };
  };
  const close = () => {
    closing ??= closeAll();
    return closing;
  };
  try {
    const database = openDatabase({ ...config.database, statementTimeoutMs });
    closers.push(() => database.close());
    const isStoreUp = () => meter.isStoreUp;
    const known = config.database.whenDown === 'serve' ? new LastKnown() : null;
    known?.noteInstances(config.server.workers);
    const identities = await openIdentities(config, { db: database.db, log, isStoreUp, known });
    closers.push(() => identities.client.close());
    const driftWatch = new DriftWatch(database.db, log);
    const metrics = new Metrics({ meterState: () => meter.state(), ledgerDrift: () => driftWatch.drift });
    const store = openStoreDoor(database, () => bringUpToDate(database, config.database));
    closers.push(() => store.close());
    const journal = { dataDir: config.dataDir, fsync: config.journal.fsync };
    const served = known === null ? null : serving(known, database.db, log);
    const observer = meterObserver(metrics, identities.callers, served, log);
    const meter = await openMeter({ store, journal, log, observer, outage: served ?? { whenDown: 'refuse' } });
    closers.push(async () => {
      chargesLeft = await meter.close();
    });
    if (isAlone) driftWatch.start();
    closers.push(() => driftWatch.stop());

    const facts = () => ({
      state: meter.state(),
      isClosing: closing !== null,
      isServedWhenDown: known !== null && !known.isEmpty,
    });
    const obstacles = () => obstaclesOf(facts());
    const warnings = () => warningsOf(facts());
    const ops = createOps({ registry: () => metrics.registry, obstacles, warnings });
    closers.push(() => ops.close());
    const openCalls = new OpenCalls();
    const driftOf = () => (isAlone ? driftWatch.drift : null);
    const app = await createServer(config, { log, meter, openCalls, identities, metrics, db: database.db, driftOf });
    const closeServer = prepareClosing(app, openCalls);
    closers.push(() => closeServer(config.server.shutdownTimeout));

    const opsAddress = isAlone ? await ops.listen({ ...config.ops }) : '';
    const address = await app.listen({ host: config.server.host, port: config.server.port });
    // First of all to end: balancers learn from /readyz that they should send no more, while they still may.
    closers.push(() => setTimeout(config.server.drainDelay));
    const { instance } = meter.state();
    if (isAlone) log.info({ address, opsAddress, instance }, 'tollgate is ready');
    else log.info({ pid: process.pid, instance }, 'a worker is ready');
    return { address, opsAddress, log, metrics, obstacles, warnings, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Whether anything is missing is asked within the time that a call may wait; a migration takes longer, on connections of its own,
 * as long as the database answers beside it.
 */
async function bringUpToDate(database: Database, { migrate, ...options }: Config['database']): Promise<void> {
  if (!migrate) return;
  const states = await migrationStatus(database);
  if (states.every(({ appliedAt }) => appliedAt !== null)) return;
  const patient = openDatabase(options);
  try {
    await migrateWhileAnswered(patient, database);
  } finally {
    await patient.close();
  }
}

interface Parts {
  readonly log: Logger;
  readonly meter: Meter;
  readonly openCalls: OpenCalls;
  readonly identities: Identities;
  readonly metrics: Metrics;
  readonly db: Database['db'];
  readonly driftOf: () => number | null;
}

async function createServer(config: Config, parts: Parts): Promise<FastifyInstance> {
  const { log, meter, openCalls, identities, metrics } = parts;
  const { callers } = identities;
  const { routes, upstreams, cors } = config;
  const { trustedProxies } = config.server;
  const site = siteOf(config.server, config.auth.signIn !== null);
  const keyFields = config.auth.apiKeys.headers;
  const errorAnswers: ErrorAnswerOptions = {
    topUpUrl: config.topUpUrl,
    commonFields: ({ headers }) => (cors === null ? {} : corsFields(cors, headers.origin)),
    pageOf: errorPagesOf(config),
  };
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    // The few lines that belong to a request name its id themselves: a logger for each request costs more than they do.
    childLoggerFactory: (logger) => logger,
    genReqId: requestIdOf,
    keepAliveTimeout: keepAliveTimeoutMs,
    // Bodies are streamed, whatever their length.
    bodyLimit: Number.MAX_SAFE_INTEGER,
    http: serverOptions,
    forceCloseConnections: 'idle',
    // A call on a kept-alive connection while the server closes is served, and the last on it.
    return503OnClosing: false,
    rewriteUrl: routerUrlOf,
    // The whole of a path of the gateway's own is one parameter; what bounds it is the limit on the request line.
    routerOptions: { maxParamLength: Number.MAX_SAFE_INTEGER },
    exposeHeadRoutes: false,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply, errorAnswers),
  }) as unknown as FastifyInstance;
  watchIntake(app.server, {
    log,
    onRefused: (code, status) => {
      metrics.requestEnded('none', status);
      metrics.refused(code);
    },
  });
  registerErrorHandler(app, errorAnswers);
  await app.register(observe, {
    metrics,
    callOf: (request) => request.call,
    routeOf: (request) => request.matched?.name ?? null,
    callerOf: (request) => request.user,
  });
  await app.register(routing, { routes, cors, trustedProxies, site });
  const visitorOf = visitorsBy(config.server.trustedProxies);
  const failures = new Attempts(attemptLimits.failedCredentials);
  await app.register(identity, { callers, keyFields, failures, addressOf: (request) => visitorOf(request).address });
  await app.register(gateway, {
    routes,
    upstreams,
    cors,
    trustedProxies,
    site,
    meter,
    openCalls,
    credentialFields: credentialFields({ keyFields, callers }),
  });
  await registerOwnPaths(app, config, parts, { site, failures, visitorOf });
  return app;
}

/** Where requests come from, and which host they name, as far as the proxies in front are believed. */
function visitorsBy(trustedProxies: readonly string[]): VisitorOf {
  const trust = compileTrust(trustedProxies);
  return ({ raw }) => {
    const { clientAddress: address, forwardedHost: host } = readPeer(
      trust,
      raw.socket.remoteAddress,
      raw.headers,
      hostOf(raw),
    );
    return { address, host: host?.toLowerCase() ?? null };
  };
}
