// What was last known of the callers outlives the process, is believed only when nobody else can have written it, and is asked
// about anew when the store has been silent.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { systemClock } from '../../src/clock.ts';
import { Fallback, openFallback } from '../../src/fallback/fallback.ts';
import { callersMax, LastKnown } from '../../src/fallback/last-known.ts';
import type { Database } from '../../src/store/database.ts';
import type { CallerIdentity } from '../../src/store/identities.ts';
import { dialects, migratedDatabase, temporaryFolder } from '../helpers/databases.ts';
import { addKey, addUser } from '../helpers/meters.ts';
import { until } from '../helpers/until.ts';

const dayMs = 24 * 60 * 60_000;

t.test('what is known is there after a restart, in a file that nobody else may open', async (t) => {
  const place = await openPlace(t);
  const { known, fallback } = await place.open();
  known.noteKey('hash', ann);
  known.noteSubject('https://issuer.example', 'sub', { userId: 'bob', isBlocked: true });
  known.noteStanding('ann', 70, 30);
  known.noteInstances(3);
  await fallback.close();
  t.same(await readdir(place.folder), ['callers.json']);
  t.equal((await stat(place.path)).mode & 0o777, 0o600);
  t.notMatch(await readFile(place.path, 'utf8'), /sub"|issuer\.example/, 'a subject may be an address');
  const again = (await place.open()).known;
  t.same(again.findKey('hash'), ann);
  t.match(again.findSubject('https://issuer.example', 'sub'), { userId: 'bob', isBlocked: true });
  t.match(again.standingOf('ann'), { credits: 70, leased: 30 });
  t.equal(again.instances, 3);
  t.same(place.warnings, []);
});

t.test('nobody is written down where nobody has called', async (t) => {
  const place = await openPlace(t);
  await (await place.open()).fallback.close();
  t.same(await readdir(place.folder), []);
});

t.test('what was left behind is taken over, the latest word of each caller, and put away', async (t) => {
  for (const late of [0, 1]) {
    const [folder = '', ...abandoned] = await foldersIn(t, ['me', 'first', 'second']);
    for (const [index, place] of abandoned.entries()) {
      const isLate = index === late;
      const known = new LastKnown({ ...systemClock, date: () => new Date(Date.now() - (isLate ? 0 : 1_000)) });
      known.noteKey('hash', { ...ann, isBlocked: isLate });
      known.noteKey(`hash ${index}`, ann);
      known.noteSubject('https://issuer.example', 'sub', { userId: isLate ? 'bob' : 'ann', isBlocked: false });
      known.noteStanding('less', isLate ? 70 : 90, 10);
      known.noteStanding('more', isLate ? 90 : 70, 10);
      known.noteInstances(index === 0 ? 3 : 2);
      await save(known, place);
    }
    const known = new LastKnown();
    await openFallback({ ...terms(known), folder, abandoned, others: () => [] });
    t.match(known.findKey('hash'), { isBlocked: true });
    t.same([known.findKey('hash 0'), known.findKey('hash 1')], [ann, ann]);
    t.match(known.findSubject('https://issuer.example', 'sub'), { userId: 'bob' });
    t.match([known.standingOf('less'), known.standingOf('more')], [{ credits: 70 }, { credits: 90 }]);
    t.equal(known.instances, 3, 'credits are shared by no fewer than anybody knew of');
    t.same(await Promise.all([folder, ...abandoned].map((path) => readdir(path))), [['callers.json'], [], []]);
  }
});

t.test('what others beside this process know is read and left to them, also of one who comes meanwhile', async (t) => {
  const [folder = '', ...others] = await foldersIn(t, ['me', 'first', 'second']);
  for (const [index, place] of others.entries()) {
    const known = new LastKnown();
    known.noteKey(`hash ${index}`, ann);
    await save(known, place);
  }
  const known = new LastKnown();
  let looks = 0;
  const look = () => {
    looks += 1;
    return others.slice(0, looks);
  };
  await openFallback({ ...terms(known), folder, abandoned: [], others: look });
  t.same([known.findKey('hash 0'), known.findKey('hash 1')], [ann, ann]);
  t.same(await Promise.all(others.map((path) => readdir(path))), [['callers.json'], ['callers.json']]);
});

t.test('what was left behind and is no file keeps nobody from starting, nor from what others have left', async (t) => {
  const [folder = '', pipe = '', place = '', socket = '', whole = ''] = await foldersIn(t, [
    ...['me', 'pipe', 'folder', 'socket', 'whole'],
  ]);
  await promisify(execFile)('mkfifo', [join(pipe, 'callers.json')]);
  await mkdir(join(place, 'callers.json'));
  const server = createServer().listen(join(socket, 'callers.json'));
  t.teardown(() => server.close());
  await once(server, 'listening');
  const before = new LastKnown();
  before.noteKey('hash', ann);
  await save(before, whole);
  const known = new LastKnown();
  const warnings: object[] = [];
  const abandoned = [pipe, place, socket, whole];
  await openFallback({ ...terms(known, undefined, warnings), folder, abandoned, others: () => [] });
  t.same(known.findKey('hash'), ann);
  t.match(warnings, [
    { path: join(pipe, 'callers.json'), why: 'it is no file' },
    { path: join(place, 'callers.json'), why: 'it is no file' },
    { path: join(socket, 'callers.json'), why: 'it cannot be read (ENXIO)' },
    { path: join(place, 'callers.json') },
  ]);
  t.same(await readdir(folder), ['callers.json']);
});

t.test('where the folder has gone nothing is written down, which is told once', async (t) => {
  const place = await openPlace(t);
  const { known, fallback } = await place.open();
  known.noteKey('hash', ann);
  await rm(place.folder, { recursive: true });
  t.same([await fallback.save(), await fallback.save()], [false, false]);
  t.match(place.warnings, [{ err: { code: 'ENOENT' }, folder: place.folder }]);
  t.equal(place.warnings.length, 1);
});

t.test('a file that somebody else may have written, or that is not whole, is left out and told', async (t) => {
  const spoil: Record<string, (path: string, text: string) => Promise<unknown>> = {
    'everybody on this machine may open it': (path) => chmod(path, 0o604),
    'it is a link': async (path) => {
      await rename(path, `${path}.there`);
      await symlink(`${path}.there`, path);
    },
    'it is no file': async (path) => {
      await rename(path, `${path}.there`);
      await mkdir(path);
    },
    'it is not whole, or was changed': (path, text) => writeFile(path, text.replace('false', 'true')),
    'it is of another format': async (path, text) => {
      const body = text.slice(0, text.lastIndexOf('"sha256"')).replace('tollgate-callers-1', 'tollgate-callers-2');
      const { createHash } = await import('node:crypto');
      await writeFile(path, `${body}"sha256":"${createHash('sha256').update(body).digest('hex')}"}\n`);
    },
  };
  for (const [why, change] of Object.entries(spoil)) {
    const place = await openPlace(t);
    const { known, fallback } = await place.open();
    known.noteKey('hash', ann);
    await fallback.close();
    await change(place.path, await readFile(place.path, 'utf8'));
    t.equal((await place.open()).known.findKey('hash'), null, why);
    t.match(place.warnings, [{ path: place.path, why }]);
  }
});

t.test('a file that was torn anywhere is left out', async (t) => {
  const place = await openPlace(t);
  const { known, fallback } = await place.open();
  known.noteKey('hash', ann);
  await fallback.close();
  const text = await readFile(place.path);
  for (let length = 0; length < text.length; length += 7) {
    await writeFile(place.path, text.subarray(0, length));
    t.equal((await place.open()).known.findKey('hash'), null);
  }
  t.equal(place.warnings.length, Math.ceil(text.length / 7));
});

t.test('the volumes of Kubernetes open files to the group: that is no reason to leave one out', async (t) => {
  const place = await openPlace(t);
  const { known, fallback } = await place.open();
  known.noteKey('hash', ann);
  await fallback.close();
  await chmod(place.path, 0o660);
  t.same((await place.open()).known.findKey('hash'), ann);
});

t.test('what is older than a day is not used, whatever the time of day does meanwhile', (t) => {
  const clock = twoClocks();
  const known = new LastKnown(clock);
  known.noteKey('hash', ann);
  known.noteStanding('ann', 70, 30);
  for (const jumpMs of [2 * dayMs, -4 * dayMs]) {
    clock.dateMs += jumpMs;
    known.prune();
    t.same(known.findKey('hash'), ann);
    t.match(known.standingOf('ann'), { credits: 70 });
  }
  clock.spanMs += dayMs;
  known.prune();
  t.same(known.findKey('hash'), ann);
  clock.spanMs += 1;
  t.equal(known.findKey('hash'), null);
  t.equal(known.standingOf('ann'), null);
  known.prune();
  t.equal(known.isEmpty, true);
  t.end();
});

t.test('what others have known is as old as its time of day says, and is not used when it comes from tomorrow', (t) => {
  const clock = twoClocks();
  const known = new LastKnown(clock);
  const standingAt = (atMs: number) => ({ credits: 70, leased: 30, atMs });
  const standings = [
    ['tomorrow', standingAt(clock.dateMs + dayMs + 1)],
    ['young', standingAt(clock.dateMs - dayMs + 1_000)],
    ['old', standingAt(clock.dateMs - dayMs - 1)],
  ] as const;
  known.merge({ instances: 1, keys: [], subjects: [], standings });
  t.equal(known.standingOf('tomorrow'), null);
  t.equal(known.standingOf('old'), null);
  clock.dateMs += dayMs;
  clock.spanMs += 1_000;
  t.match(known.standingOf('young'), { credits: 70 });
  clock.spanMs += 1;
  t.equal(known.standingOf('young'), null, 'it grows older here like any other');
  t.end();
});

t.test(
  'beyond the limit the caller who was noted longest ago goes, and the file is whole while callers come',
  async (t) => {
    const place = await openPlace(t);
    const { known, fallback } = await place.open();
    for (let i = 0; i < callersMax + 2; i++) {
      known.noteKey(`hash ${i}`, ann);
      if (i === callersMax - 1) known.noteKey('hash 0', ann);
    }
    t.equal(known.findKey('hash 1'), null);
    t.same(known.findKey('hash 0'), ann);
    t.equal(known.keys.size, callersMax);
    const saving = fallback.save();
    for (let i = 0; i < 1_000; i++) known.noteKey(`late ${i}`, ann);
    t.equal(await saving, true);
    const again = (await place.open()).known;
    t.equal(again.keys.size, callersMax);
    t.same(again.findKey('hash 90000'), ann);
  },
);

for (const dialect of dialects) {
  t.test(`${dialect}: once the store answers it is asked about everybody who was known before`, async (t) => {
    const { database } = await migratedDatabase(t, dialect);
    for (const user of ['ann', 'bob']) await addUser(database, user, 100);
    for (const key of ['good', 'revoked', 'limited']) await addKey(database, key, 'ann', null);
    const known = new LastKnown();
    for (const key of ['good', 'revoked', 'limited', 'gone']) known.noteKey(`hash of ${key}`, { ...ann, keyId: key });
    known.noteSubject('https://issuer.example', 'bob', { userId: 'bob', isBlocked: false });
    known.noteSubject('https://issuer.example', 'moved', { userId: 'ann', isBlocked: false });
    known.noteSubject('https://issuer.example', 'removed', { userId: 'ann', isBlocked: false });
    known.noteSubject('https://issuer.example', 'gone', { userId: 'gone', isBlocked: false });
    const now = new Date().toISOString();
    const { db } = database;
    for (const subject of ['bob', 'moved']) {
      await db.insertInto('identities').values({ issuer: 'https://issuer.example', subject, user_id: 'bob' }).execute();
    }
    await db.updateTable('api_keys').set({ revoked_at: now }).where('id', '=', 'revoked').execute();
    await db.updateTable('api_keys').set({ limit_credits: 5 }).where('id', '=', 'limited').execute();
    await db.updateTable('users').set({ blocked_at: now }).where('id', '=', 'bob').execute();
    let isUp = false;
    const folder = await temporaryFolder(t);
    const options = { ...terms(known, database), folder, ...nobody, isStoreUp: () => isUp };
    const fallback = await openFallback(options);
    fallback.start();
    t.teardown(() => fallback.close());
    isUp = true;
    await until(
      () => [known.keys.size, known.subjects.size],
      ([keys, subjects]) => keys === 2 && subjects === 2,
    );
    t.match(known.findKey('hash of good'), { userId: 'ann', keyId: 'good', hasKeyLimit: false });
    t.match(known.findKey('hash of limited'), { hasKeyLimit: true });
    t.match(known.findSubject('https://issuer.example', 'bob'), { isBlocked: true });
    t.match(known.findSubject('https://issuer.example', 'moved'), { userId: 'bob' }, 'a subject is whose it is now');
  });
}

const ann: CallerIdentity = {
  userId: 'ann',
  keyId: 'key_1',
  hasKeyLimit: false,
  isBlocked: false,
  goodUntil: 4_000_000_000_000,
  issuer: null,
  scopes: null,
};

const nobody = { abandoned: [], others: () => [] };

/** A fallback that has no store to ask. */
function terms(known: LastKnown, database?: Database, warnings: object[] = []) {
  const log = { info: () => {}, warn: (facts: object) => void warnings.push(facts) };
  return { known, db: database?.db as Database['db'], isStoreUp: () => false, log };
}

/** A clock whose spans and time of day a test sets apart. */
function twoClocks() {
  const clock = {
    spanMs: 0,
    dateMs: Date.UTC(2026, 0, 2),
    nowMs: () => clock.spanMs,
    date: () => new Date(clock.dateMs),
  };
  return clock;
}

/** Folders that are there. */
async function foldersIn(t: Test, names: readonly string[]): Promise<string[]> {
  const root = await temporaryFolder(t);
  const folders = names.map((name) => join(root, name));
  for (const path of folders) await mkdir(path);
  return folders;
}

/** Writes down what is known, as a process does that has come to its end. */
async function save(known: LastKnown, folder: string): Promise<void> {
  if (!(await new Fallback({ ...terms(known), folder, ...nobody }).save())) throw new Error('it was not written down');
}

async function openPlace(t: Test) {
  const folder = await temporaryFolder(t);
  const warnings: object[] = [];
  const open = async () => {
    const known = new LastKnown();
    return {
      known,
      fallback: await openFallback({ ...terms(known, undefined, warnings), folder, ...nobody, others: () => [folder] }),
    };
  };
  return { folder, path: join(folder, 'callers.json'), warnings, open };
}
