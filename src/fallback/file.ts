// The file of the callers: one JSON document whose last member is a SHA-256 over the bytes before it. It is written beside
// the old one and takes its place when it is whole and on the disk; it is believed only if this very user has written it,
// nobody else may, and all of it is there. It decides who is let in.

import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { callersMax, type KnownKey, type KnownSubject, type LastKnown, type Standing } from './last-known.ts';

/** Changes when older programs would misread what is written. */
const format = 'tollgate-callers-1';
const bytesMax = 256 * 1024 * 1024;
/** So many are written at a time; calls are served in between. */
const rowsOfPiece = 500;

/** What a file holds. */
export interface Callers {
  readonly instances: number;
  readonly keys: readonly (readonly [hash: string, known: KnownKey])[];
  readonly subjects: readonly (readonly [name: string, known: KnownSubject])[];
  readonly standings: readonly (readonly [user: string, known: Standing])[];
}

/** A file that is there and not believed; the message says why. */
export class CallersFileError extends Error {
  override name = 'CallersFileError';
}

/** Puts down what is known, all or nothing. Rejects as the system does. */
export async function writeCallers(path: string, known: LastKnown): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx', 0o600);
  try {
    const digest = createHash('sha256');
    for (const piece of piecesOf(known)) {
      digest.update(piece);
      await file.appendFile(piece);
    }
    await file.appendFile(`"sha256":"${digest.digest('hex')}"}\n`);
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
}

function* piecesOf(known: LastKnown): Generator<string> {
  yield `{"format":${JSON.stringify(format)},"instances":${known.instances},`;
  yield* listOf('keys', known.keys.entries());
  yield* listOf('subjects', known.subjects.entries());
  yield* listOf('standings', known.standings.entries());
}

/** What changes while it is written may come twice, the later one last. */
function* listOf(name: string, entries: Iterable<[string, object]>): Generator<string> {
  let rows: string[] = [];
  let before = `\n"${name}":[\n`;
  for (const entry of entries) {
    rows.push(JSON.stringify(entry));
    if (rows.length < rowsOfPiece) continue;
    yield before + rows.join(',\n');
    before = ',\n';
    rows = [];
  }
  const isBegun = before === ',\n';
  yield `${rows.length > 0 || !isBegun ? before + rows.join(',\n') : ''}],\n`;
}

/** What a file holds; null when there is none. Rejects with a CallersFileError when it is not to be believed. */
export async function readCallers(path: string): Promise<Callers | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw new CallersFileError(error.code === 'ELOOP' ? 'it is a link' : `it cannot be read (${error.code})`);
    },
  );
  if (file === null) return null;
  try {
    const { uid, mode, size } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new CallersFileError('it is no file');
    if (uid !== (process.getuid?.() ?? uid)) throw new CallersFileError('it belongs to somebody else');
    // Volumes of Kubernetes open what they hold to the group of the pod.
    if ((mode & 0o007) !== 0) throw new CallersFileError('everybody on this machine may open it');
    if (size > bytesMax) throw new CallersFileError('it is too large');
    return parseCallers(await file.readFile());
  } finally {
    await file.close();
  }
}

const endPattern = /^"sha256":"([0-9a-f]{64})"\}\n$/;

function parseCallers(bytes: Buffer): Callers {
  const endsAt = bytes.lastIndexOf('"sha256":');
  const sum = endPattern.exec(bytes.subarray(Math.max(0, endsAt)).toString('latin1'))?.[1];
  const isWhole =
    sum ===
    createHash('sha256')
      .update(bytes.subarray(0, Math.max(0, endsAt)))
      .digest('hex');
  if (!isWhole) throw new CallersFileError('it is not whole, or was changed');
  try {
    return checkCallers(JSON.parse(bytes.toString('utf8')));
  } catch {
    throw new CallersFileError('it is of another format');
  }
}

function checkCallers(read: Callers & { format: unknown }): Callers {
  const { instances, keys, subjects, standings } = read;
  assert.equal(read.format, format);
  assert.ok(Number.isSafeInteger(instances) && instances > 0);
  for (const list of [keys, subjects, standings]) {
    assert.ok(list.length <= 2 * callersMax);
    for (const [name, { atMs }] of list) assert.ok(typeof name === 'string' && Number.isFinite(atMs));
  }
  for (const [, { userId, keyId, hasKeyLimit, isBlocked, goodUntil }] of keys) {
    assert.ok(isText(userId) && isText(keyId) && isTruth(hasKeyLimit) && isTruth(isBlocked));
    assert.ok(goodUntil === null || Number.isFinite(goodUntil));
  }
  for (const [, { userId, isBlocked }] of subjects) assert.ok(isText(userId) && isTruth(isBlocked));
  for (const [, { credits, leased }] of standings)
    assert.ok(Number.isSafeInteger(credits) && Number.isSafeInteger(leased) && leased >= 0);
  return { instances, keys, subjects, standings };
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isTruth(value: unknown): boolean {
  return typeof value === 'boolean';
}
