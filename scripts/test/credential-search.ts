// Finds credentials in a log, whole ones, wherever they stand: in the middle of a word, escaped as JSON has it, or encoded
// for a URL. One pass over the log, however many credentials there are.

import { strict as assert } from 'node:assert';

/** What is shorter could stand in a log by chance. */
export const credentialLengthMin = 16;
/** So much of a credential is shown: enough to recognise it, too little to use it. */
const hintLength = 8;

export interface Leak {
  /** The beginnings of the credentials, in the order in which they stand in the line. */
  readonly hints: readonly string[];
  /** The line, with the credentials cut. */
  readonly line: string;
}

/** Made by `indexCredentials`. */
export interface CredentialIndex {
  /** Spellings by their last 16 characters: the beginnings of keys and tokens are alike, their ends are not. */
  readonly byEnd: ReadonlyMap<string, readonly Spelling[]>;
  /** 1 where a spelling ends in four characters of that trail. */
  readonly trails: Uint8Array;
}

interface Spelling {
  readonly text: string;
  readonly hint: string;
}

interface Hit {
  readonly start: number;
  readonly end: number;
  readonly hint: string;
}

/** Every line of the log that holds a credential. */
export function leaksIn(log: string, index: CredentialIndex): Leak[] {
  const hitsByLine = new Map<number, Hit[]>();
  for (const hit of hitsIn(log, index)) {
    const lineStart = log.lastIndexOf('\n', hit.start) + 1;
    hitsByLine.set(lineStart, [...(hitsByLine.get(lineStart) ?? []), hit]);
  }
  return [...hitsByLine].map(([lineStart, hits]) => leakOf(log, lineStart, hits));
}

/** Throws at a credential that is too short to be searched for. */
export function indexCredentials(credentials: Iterable<string>): CredentialIndex {
  const byEnd = new Map<string, Spelling[]>();
  const trails = new Uint8Array(trailMask + 1);
  for (const credential of credentials) {
    assert(credential.length >= credentialLengthMin, `a credential of ${credential.length} characters is too short`);
    const hint = credential.slice(0, hintLength);
    for (const text of spellingsOf(credential)) {
      const end = text.slice(-credentialLengthMin);
      byEnd.set(end, [...(byEnd.get(end) ?? []), { text, hint }]);
      trails[trailOf(text)] = 1;
    }
  }
  return { byEnd, trails };
}

/** As it is, as a JSON string has it, as a URL has it, and as a form has it. */
function spellingsOf(credential: string): Set<string> {
  const inJson = JSON.stringify(credential).slice(1, -1);
  const inForm = new URLSearchParams({ '': credential }).toString().slice(1);
  return new Set([credential, inJson, encodeURIComponent(credential), inForm]);
}

/** Which four characters were read last: the shifts push out what came before them. */
const trailMask = 2 ** 20 - 1;
const nextTrail = (trail: number, character: number) => ((trail << 5) ^ character) & trailMask;

function trailOf(text: string): number {
  let trail = 0;
  for (let at = 0; at < text.length; at += 1) trail = nextTrail(trail, text.charCodeAt(at));
  return trail;
}

function hitsIn(log: string, { byEnd, trails }: CredentialIndex): Hit[] {
  const hits: Hit[] = [];
  let trail = 0;
  for (let at = 0; at < log.length; at += 1) {
    trail = nextTrail(trail, log.charCodeAt(at));
    if (trails[trail] === 0) continue;
    const end = at + 1;
    for (const { text, hint } of byEnd.get(log.slice(Math.max(0, end - credentialLengthMin), end)) ?? []) {
      if (log.endsWith(text, end)) hits.push({ start: end - text.length, end, hint });
    }
  }
  return hits;
}

function leakOf(log: string, lineStart: number, hits: readonly Hit[]): Leak {
  const inOrder = hits.toSorted((one, other) => one.start - other.start);
  let line = '';
  let at = lineStart;
  for (const { start, end, hint } of inOrder) {
    // One may stand within another, or overlap it: nothing of either is shown.
    if (start >= at) line += `${log.slice(at, start)}[${hint}…]`;
    at = Math.max(at, end);
  }
  const lineEnd = log.indexOf('\n', at);
  line += log.slice(at, lineEnd === -1 ? log.length : lineEnd);
  return { hints: inOrder.map(({ hint }) => hint), line };
}
