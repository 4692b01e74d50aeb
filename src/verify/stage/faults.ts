// What goes wrong during a run, in two lanes at once: something happens to a gateway process, and something happens
// between the gateways and their database. The kinds come from a shuffled deck, so that each has its turn; each fault
// ends itself, and what it does is written down before it is done.

import type { Database } from '../../store/database.ts';
import { holdRow, type Standing, standingsOf } from '../../store/proof.ts';
import type { OnKey, Player } from './cast.ts';
import type { GatewayProcess } from './gateway-process.ts';
import type { Link, LinkState } from './link.ts';
import { pause } from './load.ts';
import type { Random } from './random.ts';
import type { FaultKind, FaultRecord, Records } from './records.ts';

/** Whoever may stop and kill the database server itself. */
export interface ServerSwitch {
  stop(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** How long faults last, ms: each time one of the list. */
export interface Lengths {
  readonly pausesMs: readonly number[];
  readonly outagesMs: readonly number[];
  readonly locksMs: readonly number[];
  /** The longest time between two faults of a lane. */
  readonly gapMaxMs: number;
}

export interface Stage {
  readonly gateways: readonly GatewayProcess[];
  /** By the name of the gateway; empty where the way to the database cannot be led through them. */
  readonly links: ReadonlyMap<string, Link>;
  readonly server: ServerSwitch | null;
  readonly database: Database;
  readonly cast: readonly Player[];
  readonly records: Records;
  readonly lengths: Lengths;
  /** Kinds that are left out, to narrow down a failure. */
  readonly without: ReadonlySet<FaultKind>;
  readonly over: AbortSignal;
  readonly onKey: OnKey;
  /** Told at the start of each fault. */
  readonly onFault: (kind: FaultKind, gateways: readonly string[]) => void;
}

/** Kills, stops and pauses gateways until it is over. */
export async function runGatewayFaults(stage: Stage, random: Random): Promise<void> {
  await runLane(stage, random, ['kill', 'pause', 'kill', 'terminate'], async (kind) => {
    const gateway = random.of(stage.gateways);
    if (gateway.address === null) return;
    await suffer(stage, kind, [gateway], async () => {
      if (kind === 'kill') await gateway.kill();
      if (kind === 'terminate') await gateway.stop();
      if (kind !== 'pause') return gateway.start();
      gateway.pause();
      await pause(random.of(stage.lengths.pausesMs), stage.over);
      gateway.resume();
    });
  });
}

/** Keeps gateways from their database until it is over. */
export async function runDatabaseFaults(stage: Stage, random: Random): Promise<void> {
  const { links, server, lengths, gateways } = stage;
  const kinds: FaultKind[] = ['lock'];
  if (links.size > 0) kinds.push('cut', 'silence', 'refuse', 'silence');
  if (server !== null) kinds.push('server-stop', 'server-kill');
  await runLane(stage, random, kinds, async (kind) => {
    const lasting = random.of(lengths.outagesMs);
    if (kind === 'lock') return lockSomebody(stage, random);
    if (kind === 'server-stop' || kind === 'server-kill') return stopServer(stage, kind, lasting);
    const hit = random.percent(50) ? gateways : [random.of(gateways)];
    const hitLinks = hit.flatMap(({ name }) => links.get(name) ?? []);
    await suffer(stage, kind, hit, async () => {
      if (kind === 'cut') for (const link of hitLinks) link.cut();
      else await breakLinks(hitLinks, kind === 'silence' ? 'silent' : 'refused', lasting, stage.over);
    });
  });
}

async function breakLinks(links: readonly Link[], state: LinkState, ms: number, over: AbortSignal): Promise<void> {
  await Promise.all(links.map((link) => link.set(state)));
  await pause(ms, over);
  await Promise.all(links.map((link) => link.set('whole')));
}

async function stopServer(stage: Stage, kind: 'server-stop' | 'server-kill', lasting: number): Promise<void> {
  const { server, over, gateways } = stage;
  await suffer(stage, kind, gateways, async () => {
    await (kind === 'server-kill' ? server?.kill() : server?.stop());
    await pause(lasting, over);
    await server?.start();
  });
}

async function lockSomebody(stage: Stage, random: Random): Promise<void> {
  const { database, cast, records, lengths, over, onFault, gateways } = stage;
  // On SQLite whoever writes keeps everybody from the whole file.
  const fault = begin(records, 'lock', database.file === null ? [] : gateways, []);
  onFault('lock', []);
  // The database may go away in the meantime: then the lock is gone too.
  await holdRow(database.db, random.of(cast).user, pause(random.of(lengths.locksMs), over)).catch(() => {});
  fault.endedAtMs = performance.now();
}

/** Writes a fault down, with how the books stood around its beginning. */
async function suffer(stage: Stage, kind: FaultKind, hit: readonly GatewayProcess[], work: () => Promise<void>) {
  const { records, database, onFault } = stage;
  const fault = begin(records, kind, hit, await standings(database));
  onFault(kind, fault.gateways);
  const begun = work();
  if (!kind.startsWith('server')) fault.standings.push(...(await standings(database)));
  await begun;
  fault.endedAtMs = performance.now();
}

function begin(
  records: Records,
  kind: FaultKind,
  hit: readonly GatewayProcess[],
  before: readonly Standing[][],
): FaultRecord {
  const fault: FaultRecord = {
    kind,
    gateways: hit.map(({ name }) => name),
    startedAtMs: performance.now(),
    endedAtMs: Number.POSITIVE_INFINITY,
    standings: [...before],
    instances: Object.fromEntries(hit.map(({ name, instance }) => [name, instance])),
  };
  records.faults.push(fault);
  return fault;
}

/** A list of one; of none while the database is away. */
async function standings({ db }: Database): Promise<Standing[][]> {
  return standingsOf(db).then(
    (found) => [found],
    () => [],
  );
}

async function runLane(
  { over, lengths, without }: Stage,
  random: Random,
  kinds: readonly FaultKind[],
  happen: (kind: FaultKind) => Promise<void>,
): Promise<void> {
  const wanted = kinds.filter((kind) => !without.has(kind));
  if (wanted.length === 0) return;
  // The first of the list comes first: a short run on a busy machine may not get to the end of a deck.
  let deck = wanted.slice(0, 1);
  for (;;) {
    await pause(lengths.gapMaxMs / 4 + random.below(lengths.gapMaxMs), over);
    if (over.aborted) return;
    if (deck.length === 0) deck = shuffled(wanted, random);
    await happen(deck.pop() as FaultKind);
  }
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((item) => ({ item, place: random.below(2 ** 31) }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
