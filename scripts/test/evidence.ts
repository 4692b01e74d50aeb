// What a test run leaves behind for the search: a folder in which each process of the run has written what its gateways
// logged, and the credentials that it used. It is written by test/helpers/evidence.ts; here it is read and judged.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { indexCredentials, type Leak, leaksIn } from './credential-search.ts';

/** The variable of the environment that names the folder. */
export const evidenceVariable = 'TOLLGATE_TEST_EVIDENCE';
/** How the files in it end: text as it was logged, and JSON strings, one a line. */
export const logEnding = '.log';
export const credentialsEnding = '.credentials';

export interface SearchedEvidence {
  readonly credentials: number;
  readonly lines: number;
  readonly leaks: readonly (Leak & { readonly process: string })[];
}

const leaksToldMax = 20;
const lineLengthToldMax = 2_000;

/** The file of a process: `name` says which one it was. */
export function evidenceFile(folder: string, name: string, ending: string): string {
  return join(folder, encodeURIComponent(name) + ending);
}

/** Looks for every credential of every process in every log. */
export async function searchEvidence(folder: string): Promise<SearchedEvidence> {
  const names = (await readdir(folder)).sort();
  const credentials = new Set<string>();
  for (const name of names.filter((each) => each.endsWith(credentialsEnding))) {
    for (const line of linesOf(await readFile(join(folder, name), 'utf8'))) credentials.add(JSON.parse(line));
  }
  const index = indexCredentials(credentials);
  const leaks: (Leak & { process: string })[] = [];
  let lines = 0;
  for (const name of names.filter((each) => each.endsWith(logEnding))) {
    const log = await readFile(join(folder, name), 'utf8');
    const process = decodeURIComponent(name.slice(0, -logEnding.length));
    lines += linesOf(log).length;
    for (const leak of leaksIn(log, index)) leaks.push({ process, ...leak });
  }
  return { credentials: credentials.size, lines, leaks };
}

/** Why the run has failed; nothing when it has not. A run of single files may leave nothing to search. */
export function complaintsAbout({ credentials, lines, leaks }: SearchedEvidence, isWholeSuite: boolean): string[] {
  const told = leaks.slice(0, leaksToldMax).map(({ process, hints, line }) => {
    const which = hints.map((hint) => `${hint}…`).join(', ');
    return `${process} has logged a credential, ${which}: ${line.slice(0, lineLengthToldMax)}`;
  });
  if (leaks.length > told.length) told.push(`and ${leaks.length - told.length} more lines of log hold credentials`);
  if (isWholeSuite && credentials === 0) told.push('no test has noted a credential: the search has shown nothing');
  if (isWholeSuite && lines === 0) told.push('no test has handed in its log: the search has shown nothing');
  return told;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
