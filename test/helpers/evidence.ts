// What the log of the suite is searched for: helpers note every credential that they make or use, and every line that a
// gateway logs. `npm test` names a folder for it, and searches once all tests have ended; without one nothing is kept.

import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { credentialLengthMin } from '../../scripts/test/credential-search.ts';
import { credentialsEnding, evidenceFile, evidenceVariable, logEnding } from '../../scripts/test/evidence.ts';
import { createLogger } from '../../src/observability/logger.ts';

const folder = process.env[evidenceVariable] ?? '';
const isKept = folder !== '';
/** So much waits in memory to be written. */
const waitingCharactersMax = 1024 * 1024;

/** A file that grows in large pieces, and by the last one when the process ends. */
class Pile {
  readonly #file: string;
  #waiting = '';

  constructor(ending: string) {
    const script = relative(process.cwd(), process.argv[1] ?? '');
    this.#file = evidenceFile(folder, `${script} (${process.pid} ${processId})`, ending);
    if (isKept) process.once('exit', () => this.#write());
  }

  add(line: string): void {
    if (!isKept) return;
    this.#waiting += line.endsWith('\n') ? line : `${line}\n`;
    if (this.#waiting.length >= waitingCharactersMax) this.#write();
  }

  #write(): void {
    appendFileSync(this.#file, this.#waiting);
    this.#waiting = '';
  }
}

/** The ids of processes come again. */
const processId = randomBytes(4).toString('hex');
const log = new Pile(logEnding);
const credentials = new Pile(credentialsEnding);
const noted = new Set<string>();

/** Notes a credential, good or bad: no log of the whole run may hold it. Returns it. */
export function noteCredential(text: string): string {
  assert(text.length >= credentialLengthMin, `${text} is too short to be searched for`);
  if (!noted.has(text)) credentials.add(JSON.stringify(text));
  noted.add(text);
  return text;
}

/** Notes what a field such as Authorization holds, unless it is a word too short to be searched for. */
export function noteCredentialIn(field: string | null | undefined): void {
  const credential = field?.trim().split(/\s+/).at(-1) ?? '';
  if (credential.length >= credentialLengthMin) noteCredential(credential);
}

/** Notes every API key in what a command has printed. */
export function noteKeysIn(text: string): void {
  for (const [key] of text.matchAll(/tg_[0-9A-Za-z]{38}/g)) noteCredential(key);
}

/** Notes what a gateway, or a command, has logged: whole lines. */
export function noteLog(lines: string): void {
  if (lines !== '') log.add(lines);
}

/** A log, of all levels, for parts that are tested without their gateway. */
export const suiteLog = await createLogger({ level: 'trace', format: 'json' }, { write: noteLog });

/** Notes all that comes from a stream as log. */
export function noteLogOf(stream: Readable): void {
  createInterface({ input: stream }).on('line', noteLog);
}
