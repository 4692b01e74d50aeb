// A small gateway for tests: the real routing, meter (on SQLite), forwarding and error answers, between a real upstream
// and real sockets. Identity is a stand-in: whoever sends `x-api-key: tg_…` is the user of that name.

import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Server as NetServer, type Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Test } from 'tap';
import { request } from 'undici';
import type { Cors, Route, Upstream } from '../../src/config/config.ts';
import { answerError, registerErrorHandler } from '../../src/error-handler.ts';
import type { CallMeter } from '../../src/gateway/call.ts';
import { corsFields } from '../../src/gateway/cors.ts';
import { gateway } from '../../src/gateway/gateway.ts';
import { serverOptions, watchIntake } from '../../src/gateway/intake.ts';
import { OpenCalls } from '../../src/gateway/open-calls.ts';
import { routerUrlOf, routing } from '../../src/gateway/routing.ts';
import type { Meter } from '../../src/meter/meter.ts';
import type { Charge } from '../../src/store/sync/exchange.ts';
import { migratedDatabase } from '../helpers/databases.ts';
import { addUser, openTestMeter } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';
import { Wire as PlainWire } from '../helpers/wire.ts';
import { plainSite, sampleRoute, sampleUpstream } from './sample-routes.ts';

export interface GateOptions {
  /** What stands behind: a handler, or the URL of something else. */
  readonly upstream: RequestListener | string;
  readonly routes?: readonly Route[];
  readonly upstreamOptions?: Partial<Upstream>;
  readonly trustedProxies?: readonly string[];
  readonly cors?: Cors;
  readonly credits?: number;
  /** Put between gateway and meter. */
  readonly wrapMeter?: (meter: CallMeter) => CallMeter;
  /** Called before anything is registered. */
  readonly prepare?: (app: FastifyInstance) => void;
}

export interface Gate {
  readonly port: number;
  readonly url: string;
  readonly meter: Meter;
  /** Charges so far. */
  readonly charges: readonly Charge[];
  /** Resolves when no hold is open, with the number of charges. */
  readonly settled: () => Promise<number>;
  readonly openCalls: OpenCalls;
  readonly close: () => Promise<void>;
}

/** A caller's usual fields: user `u` has the credits. */
export const asUser = { 'x-api-key': 'tg_u' };

/** Starts a gateway; everything is closed at the end of the test. */
export async function openGate(t: Test, options: GateOptions): Promise<Gate> {
  const { database } = await migratedDatabase(t, 'sqlite');
  await addUser(database, 'u', options.credits ?? 100);
  const { meter, observed } = await openTestMeter(t, database);
  const upstreamUrl =
    typeof options.upstream === 'string'
      ? options.upstream
      : `http://127.0.0.1:${await listen(t, createServer(options.upstream))}`;
  const routes = options.routes ?? [sampleRoute('/')];
  const upstreams = { api: sampleUpstream(upstreamUrl, options.upstreamOptions) };
  const { cors = null, trustedProxies = [] } = options;
  const errorAnswers = {
    topUpUrl: 'https://pay.example/',
    commonFields: ({ headers }: FastifyRequest) => (cors === null ? {} : corsFields(cors, headers.origin)),
    pageOf: () => null,
  };
  const app = Fastify({
    forceCloseConnections: true,
    http: serverOptions,
    rewriteUrl: routerUrlOf,
    frameworkErrors: (error, request, reply) => {
      answerError(error, request, reply, errorAnswers);
    },
  });
  watchIntake(app.server, { log: app.log, onRefused: () => {} });
  options.prepare?.(app);
  registerErrorHandler(app, errorAnswers);
  await app.register(routing, { routes, cors, trustedProxies, site: plainSite });
  identifyByName(app);
  const credentialFields = ['authorization', 'x-api-key'];
  const openCalls = new OpenCalls();
  await app.register(gateway, {
    routes,
    upstreams,
    credentialFields,
    cors,
    trustedProxies,
    site: plainSite,
    openCalls,
    meter: options.wrapMeter?.(meter) ?? meter,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const close = () => app.close();
  t.teardown(() => {
    openCalls.giveUp();
    return close();
  });
  const { port } = app.server.address() as AddressInfo;
  const settled = async () => {
    await until(
      () => meter.state().holdsOpen,
      (open) => open === 0,
    );
    return observed.charges.length;
  };
  return { port, url: `http://127.0.0.1:${port}`, meter, charges: observed.charges, settled, openCalls, close };
}

function identifyByName(app: FastifyInstance): void {
  app.decorateRequest('user', null);
  app.decorateRequest('credentialField', null);
  app.addHook('onRequest', async (request) => {
    const key = request.headers['x-api-key'];
    if (typeof key !== 'string' || request.isPublic) return;
    request.user = { userId: key.slice('tg_'.length), keyId: null, hasKeyLimit: false };
    request.credentialField = 'x-api-key';
  });
}

/** Listens on a free port of the loopback; closed, with its connections, at the end of the test. */
export async function listen(t: Test, server: Server | NetServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

/** One ordinary call as the user `u`. */
export async function call(gate: Gate, path: string, options: Parameters<typeof request>[1] = {}): Promise<Answer> {
  const headers = { ...asUser, ...(options.headers as Record<string, string> | undefined) };
  const answer = await request(gate.url + path, { ...options, headers });
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
}

/** A connection to a gateway that speaks bytes; it is closed at the end of the test. */
export class Wire extends PlainWire {
  constructor(t: Test, port: number) {
    super(connect(port, '127.0.0.1'));
    t.teardown(() => this.leave());
  }
}

/** A place to wait for something that happens elsewhere. */
export function promised<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** The whole body of a request, as text. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}
