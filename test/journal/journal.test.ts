import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import t, { type Test } from 'tap';
import { type Files, systemFiles } from '../../src/journal/files.ts';
import { Journal } from '../../src/journal/journal.ts';
import { decodeLine, type Entry } from '../../src/journal/records.ts';
import { linesOf } from '../../src/journal/segment-reader.ts';
import type { FsyncPolicy } from '../../src/journal/writer.ts';
import { temporaryFolder } from '../helpers/databases.ts';
import { handClock } from '../helpers/hand-clock.ts';
import { chargeOf } from '../helpers/meters.ts';

t.test('a charge is on disk at the end of its turn, whoever else may not read it', async (t) => {
  const { journal, clock, folder } = await openJournal(t);
  journal.append(chargeOf('a', 'u', 1), '', false);
  journal.append(chargeOf('b', 'u', 1), '', false);
  t.same(chargesIn(folder), []);
  clock.endTurn();
  t.same(chargesIn(folder), ['a', 'b']);
  t.equal(statSync(join(folder, namesIn(folder)[0] ?? '')).mode & 0o777, 0o600);
});

t.test('nothing stays behind when all is acknowledged, and all stays that is not', async (t) => {
  for (const acknowledged of [[1, 2], [1]]) {
    const { journal, clock, folder } = await openJournal(t);
    for (const id of ['a', 'b']) journal.append(chargeOf(id, 'u', 1), '', false);
    clock.endTurn();
    journal.acknowledge(acknowledged);
    journal.close();
    journal.close();
    t.equal(namesIn(folder).length, acknowledged.length === 2 ? 0 : 1);
  }
});

t.test('a charge that is acknowledged in the turn it was settled in is owed no more', async (t) => {
  const { journal, folder } = await openJournal(t);
  journal.append(chargeOf('a', 'u', 1), '', false);
  journal.acknowledge([1]);
  journal.close();
  t.same(namesIn(folder), []);
});

t.test('a write that stops short is finished', async (t) => {
  const { journal, clock, folder, disk } = await openJournal(t);
  disk.writeMax = 7;
  for (const id of ['a', 'b', 'c']) journal.append(chargeOf(id, 'u', 1), '', false);
  clock.endTurn();
  t.same(chargesIn(folder), ['a', 'b', 'c']);
  t.equal(journal.fault, null);
});

t.test(
  'while the disk is full charges are in memory, and all of them are written when there is room again',
  async (t) => {
    const { journal, clock, folder, disk, memory, unwritten } = await openJournal(t);
    memory.push(journal.append(chargeOf('a', 'u', 1), '', false));
    clock.endTurn();
    disk.roomBytes = 40;
    memory.push(journal.append(chargeOf('b', 'u', 1), '', false));
    journal.append(chargeOf('c', 'u', 1), '', true);
    clock.endTurn();
    t.match(journal.fault, /no room/);
    t.same(
      unwritten.map(({ charge }) => charge.id),
      ['c'],
      'what was to be on disk alone is given back',
    );
    memory.push(...unwritten, journal.append(chargeOf('d', 'u', 1), '', false));
    t.same(chargesIn(folder), ['a']);
    t.match(readFileSync(join(folder, namesIn(folder)[0] ?? ''), 'utf8'), /\}\n$/, 'no half of a line is left');
    clock.pass(5_000);
    t.match(journal.fault, /no room/);
    disk.roomBytes = Number.POSITIVE_INFINITY;
    clock.pass(1_000);
    t.equal(journal.fault, null);
    t.same(chargesIn(folder), ['a', 'a', 'b', 'c', 'd']);
    journal.acknowledge([1, 2, 3, 4]);
    journal.close();
    t.same(namesIn(folder), []);
  },
);

t.test('a disk that cannot vouch for what was written gets all of it again, in another file', async (t) => {
  for (const fsync of ['always', 'interval'] as const) {
    const { journal, clock, folder, disk, memory } = await openJournal(t, fsync);
    disk.failsSync = true;
    memory.push(journal.append(chargeOf('a', 'u', 1), '', false));
    clock.endTurn();
    clock.pass(150);
    t.match(journal.fault, /no vouching/);
    disk.failsSync = false;
    clock.pass(1_500);
    t.equal(journal.fault, null);
    t.equal(namesIn(folder).length, 2);
    t.same(chargesIn(folder), ['a', 'a']);
  }
});

t.test('the disk is asked to vouch each turn, each 100 ms, or never', async (t) => {
  const syncs: Record<string, number> = {};
  for (const fsync of ['always', 'interval', 'never'] as const) {
    const { journal, clock, disk } = await openJournal(t, fsync);
    disk.syncs = 0;
    for (let turn = 0; turn < 10; turn++) {
      journal.append(chargeOf(`${turn}`, 'u', 1), '', false);
      clock.endTurn();
      clock.pass(50);
    }
    syncs[fsync] = disk.syncs;
  }
  t.same(syncs, { always: 10, interval: 5, never: 0 });
});

t.test('what is on disk alone is read back in order, across files and from this very turn', async (t) => {
  const { journal, clock, folder } = await openJournal(t, 'never');
  const padding = 'x'.repeat(2_000_000);
  const ids: string[] = [];
  for (let n = 0; n < 12; n++) {
    ids.push(`c${n}`);
    journal.append({ ...chargeOf(`c${n}`, 'u', 1), requestId: padding }, '', n >= 3);
    if (n < 11) clock.endTurn();
  }
  t.equal(journal.deferredCharges, 9);
  const read: string[] = [];
  for (let entries = journal.readDeferred(2); entries.length > 0; entries = journal.readDeferred(2)) {
    read.push(...entries.map(({ charge }) => charge.id));
  }
  t.same(read, ids.slice(3));
  t.equal(journal.deferredCharges, 0);
  t.ok(namesIn(folder).length > 2);
});

t.test('a process that goes on as another instance says so in a new file', async (t) => {
  const { journal, folder } = await openJournal(t);
  journal.rename('second');
  t.same(
    namesIn(folder).map((name) => {
      const header = decodeLine(readFileSync(join(folder, name), 'utf8').trimEnd());
      return header !== null && 'header' in header && header.header.instance;
    }),
    ['first', 'second'],
  );
});

t.test('a file goes ten minutes after all of it was acknowledged, and not before', async (t) => {
  const { journal, clock, folder } = await openJournal(t, 'never');
  let n = 0;
  const settleOne = (isAcknowledged: boolean) => {
    n += 1;
    journal.append(chargeOf(`c${n}`, 'u', 1), '', false);
    clock.endTurn();
    if (isAcknowledged) journal.acknowledge([n]);
    clock.endTurn();
  };
  settleOne(true);
  clock.pass(61_000);
  settleOne(false);
  t.equal(namesIn(folder).length, 2);
  clock.pass(8 * 60_000);
  settleOne(true);
  t.equal(namesIn(folder).length, 2);
  clock.pass(2 * 60_000);
  settleOne(true);
  t.same(namesIn(folder), ['journal-000002.jsonl'], 'one that is owed something stays');
});

interface Disk {
  writeMax: number;
  roomBytes: number;
  failsSync: boolean;
  syncs: number;
}

/** A journal on a real disk that fails as the test wishes, with a clock that the test turns. */
async function openJournal(t: Test, fsync: FsyncPolicy = 'interval') {
  const folder = await temporaryFolder(t);
  const clock = handClock();
  const infinity = Number.POSITIVE_INFINITY;
  const disk: Disk = { writeMax: infinity, roomBytes: infinity, failsSync: false, syncs: 0 };
  const memory: Entry[] = [];
  const unwritten: Entry[] = [];
  const owner = { inMemory: () => memory, unwritten: (entries: readonly Entry[]) => void unwritten.push(...entries) };
  const log = pino({ level: 'silent' });
  const journal = new Journal({ folder, instance: 'first', fsync, clock, log, files: filesOn(disk) }, owner);
  t.teardown(() => journal.close());
  return { journal, clock, folder, disk, memory, unwritten };
}

function filesOn(disk: Disk): Files {
  return {
    ...systemFiles,
    write: (fd, bytes, from) => {
      const length = Math.min(bytes.length - from, disk.writeMax, disk.roomBytes);
      if (length <= 0) throw new Error('no room on the disk');
      disk.roomBytes -= length;
      return systemFiles.write(fd, bytes.subarray(from, from + length), 0);
    },
    syncNow: () => {
      disk.syncs += 1;
      if (disk.failsSync) throw new Error('no vouching');
    },
    syncSoon: (_fd, done) => {
      disk.syncs += 1;
      done(disk.failsSync ? new Error('no vouching') : null);
    },
  };
}

function namesIn(folder: string): string[] {
  return readdirSync(folder).sort();
}

function chargesIn(folder: string): string[] {
  return namesIn(folder).flatMap((name) =>
    [...linesOf(join(folder, name))].flatMap(({ record }) =>
      record !== null && 'charge' in record ? [record.charge.id] : [],
    ),
  );
}
