// The proof: gateways, a database, callers and an upstream, all real, with everything going wrong at random from a seed;
// then peace, and an auditor who joins what callers, upstream and ledger say. `tollgate verify` runs it on somebody's own
// database, `npm run test:chaos` with a PostgreSQL that is stopped and killed as well.

import { setMaxListeners } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { leftovers } from '../store/proof.ts';
import { audit } from './audit/audit.ts';
import type { Finding } from './audit/finding.ts';
import { makeCast, type OnKey, type Player, routes } from './stage/cast.ts';
import { type Lengths, runDatabaseFaults, runGatewayFaults, type ServerSwitch, type Stage } from './stage/faults.ts';
import { GatewayProcess } from './stage/gateway-process.ts';
import { Link } from './stage/link.ts';
import { callOnce, pause, runLoad } from './stage/load.ts';
import { insist, runLooks, runOperators } from './stage/operators.ts';
import { makePlace, type Place, urlThrough } from './stage/place.ts';
import { randomFrom } from './stage/random.ts';
import { type FaultKind, faultKinds, Records } from './stage/records.ts';
import { startUpstream } from './stage/upstream.ts';

export interface VerifyOptions {
  /** `postgres://…` or `sqlite:…`: of SQLite only that it is, for the run has a file of its own. */
  readonly databaseUrl: string;
  readonly seconds: number;
  readonly seed: number;
  readonly lengths: Lengths;
  readonly server: ServerSwitch | null;
  /** Kinds of fault that are left out, to narrow down a failure. */
  readonly without?: ReadonlySet<FaultKind>;
  /** Ends it early, with everything cleared away. */
  readonly signal: AbortSignal;
  /** Told of each step, in words. */
  readonly onStep: (text: string) => void;
  /** Told once a second how many of them have passed. */
  readonly onSecond: (seconds: number) => void;
  /** Gets each line that a gateway logs. */
  readonly onLog: (line: string) => void;
  /** Gets each API key that is made: no log may ever hold it. */
  readonly onKey: OnKey;
}

export interface Report {
  readonly hasHeld: boolean;
  readonly place: string;
  readonly seed: number;
  readonly seconds: number;
  readonly gateways: number;
  readonly callers: number;
  readonly calls: number;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** Kinds of fault that could not be tried here, in words. */
  readonly untried: readonly string[];
  readonly findings: readonly Finding[];
}

const gatewayNames = ['a', 'b', 'c'];
/** So many that a gateway which is paused, and keeps those who call it, does not keep them all. */
const callersEach = 6;
/** How long gateways may take to hand in their charges and to fence the dead, once everything is whole again. */
const settleMaxMs = 60_000;

/** Runs it. Null when it was ended early. Rejects when it cannot be run at all. */
export async function verify(options: VerifyOptions): Promise<Report | null> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const place = await makePlace(options.databaseUrl);
    closers.push(() => insist(() => place.remove()));
    options.onStep(`${place.name}, seed ${options.seed}`);
    const records = new Records();
    const run = await setUp(place, records, options, closers);
    await rage(run, options);
    if (options.signal.aborted) return null;
    options.onStep('everything is whole again; gateways hand in what they owe');
    const notHandedIn = await settle(run);
    for (const gateway of run.gateways) await gateway.stop();
    options.onStep('the auditor reads the books');
    const findings = await audit(place.database.db, records, run.cast, notHandedIn);
    return reportOf(options, run, findings);
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

/** What runs during a run. */
interface Run {
  readonly place: Place;
  readonly records: Records;
  readonly gateways: readonly GatewayProcess[];
  readonly links: ReadonlyMap<string, Link>;
  readonly cast: readonly Player[];
}

async function setUp(
  place: Place,
  records: Records,
  { seed, onLog, onKey, onStep }: VerifyOptions,
  closers: (() => Promise<unknown>)[],
): Promise<Run> {
  const upstream = await startUpstream(records);
  closers.push(() => upstream.close());
  const links = new Map<string, Link>();
  const gateways: GatewayProcess[] = [];
  for (const name of gatewayNames) {
    const link = place.wire === null ? null : await Link.open(place.wire);
    if (link !== null) {
      links.set(name, link);
      closers.push(() => link.close());
    }
    const folder = join(place.folder, name);
    await mkdir(folder);
    const databaseUrl = link === null ? place.url : urlThrough(place.url, link.port);
    const config = configFor(place, upstream.url);
    const gateway = new GatewayProcess({ name, folder, config, databaseUrl, records, onLog });
    closers.push(() => gateway.kill());
    gateways.push(gateway);
  }
  onStep(`starting ${gateways.length} gateways`);
  await Promise.all(gateways.map((gateway) => gateway.start()));
  if (gateways.some(({ address }) => address === null)) throw new Error(records.deaths.join('. '));
  return { place, records, gateways, links, cast: await makeCast(place.database, randomFrom(seed), onKey) };
}

function configFor({ schema }: Place, upstreamUrl: string): object {
  return {
    server: { host: '127.0.0.1', port: 0 },
    ops: { host: '127.0.0.1', port: 0 },
    // The tables are there; a migration at each start would look at schemas that are not ours.
    database: { schema, migrate: false },
    dataDir: 'data',
    upstreams: { api: upstreamUrl },
    routes: Object.entries(routes).map(([name, cost]) => ({ path: `/${name}`, name, upstream: 'api', cost })),
  };
}

/** Load and faults for as long as was asked; at its end everything is whole and every call has ended. */
async function rage(run: Run, options: VerifyOptions): Promise<void> {
  const { records, gateways, cast, place, links } = run;
  const { seed, seconds, signal, lengths, server, onStep, onSecond, onKey, without = new Set<FaultKind>() } = options;
  const over = new AbortController();
  const loadOver = new AbortController();
  setMaxListeners(0, over.signal, loadOver.signal);
  const end = () => over.abort();
  signal.addEventListener('abort', end, { once: true });
  const stage: Stage = {
    ...{ gateways, links, server, database: place.database, cast, records, lengths, without, onKey, over: over.signal },
    onFault: (kind, hit) => onStep(`${faultKinds[kind]}${hit.length === 0 ? '' : `: ${hit.join(', ')}`}`),
  };
  const load = runLoad({ cast, gateways, records, seed, callersEach, over: loadOver.signal });
  const trouble = Promise.all([
    runGatewayFaults(stage, randomFrom(seed + 1)),
    runDatabaseFaults(stage, randomFrom(seed + 2)),
    runOperators(stage, randomFrom(seed + 3)),
    runLooks(stage),
  ]);
  for (let second = 1; second <= seconds && !over.signal.aborted; second++) {
    await pause(1_000, over.signal);
    onSecond(second);
  }
  end();
  await trouble.finally(() => loadOver.abort());
  await load;
}

/** Waits until every charge is handed in and the dead are fenced, and makes a last call at each gateway. What did not come to pass, in words. */
async function settle({ gateways, records, cast, place }: Run): Promise<string[]> {
  const missed: string[] = [];
  for (const gateway of gateways) {
    const owed = await settled(
      () => gateway.metric('tollgate_journal_charges'),
      (charges) => charges === 0,
    );
    if (owed !== 0) missed.push(`gateway ${gateway.name} still owes ${owed ?? 'nobody knows how many'} charges`);
  }
  const { db } = place.database;
  const alive = await settled(
    () => leftovers(db),
    ({ instances }) => instances <= gateways.length,
  );
  if (alive.instances > gateways.length)
    missed.push(`${alive.instances} instances count as alive, of ${gateways.length}`);
  const agent = new Agent();
  for (const gateway of gateways) {
    for (const player of cast.filter(({ role }) => role === 'rich')) {
      const intent = { player, gateway, route: 'cheap', manner: 'quick', leavesAfterMs: null, agent } as const;
      const last = await callOnce(`last-${gateway.name}-${player.user}`, intent, records);
      if (last?.status !== 200) missed.push(`gateway ${gateway.name} answers ${last?.status} when all is over`);
    }
  }
  return missed;
}

/** Reads until it is right, or for as long as that may take. */
async function settled<T>(read: () => Promise<T>, isRight: (value: T) => boolean): Promise<T> {
  const endMs = performance.now() + settleMaxMs;
  for (;;) {
    const value = await read();
    if (isRight(value) || performance.now() > endMs) return value;
    await setTimeout(100);
  }
}

function reportOf({ seed, seconds, server }: VerifyOptions, run: Run, findings: readonly Finding[]): Report {
  const { place, records, gateways, cast, links } = run;
  const faults: Partial<Record<FaultKind, number>> = {};
  for (const { kind } of records.faults) faults[kind] = (faults[kind] ?? 0) + 1;
  const untried: string[] = [];
  if (place.dialect === 'sqlite') untried.push('faults on the way to the database, and of a server: SQLite is a file');
  if (place.dialect === 'postgres' && links.size === 0) {
    untried.push('faults on the way to the database: its address, by TLS or a socket, allows no proxy in between');
  }
  if (place.dialect === 'postgres' && server === null) {
    untried.push('stopping and killing the database server itself: it is yours');
  }
  return {
    hasHeld: findings.every(({ broken }) => broken.length === 0),
    ...{ place: place.name, seed, seconds, gateways: gateways.length, callers: cast.length * callersEach },
    ...{ calls: records.calls.length, faults, untried, findings },
  };
}
