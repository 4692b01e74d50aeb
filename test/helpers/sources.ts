// The project's own sources as the tests of the house rules see them: path, text, and what each file imports. Imports are
// read with patterns, not with a parser: Biome formats every file, so an import begins its line. What looks like an import
// and cannot be read is an error, so that nothing slips through.

import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

export interface Source {
  /** From the root of the project, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  /** The first is 1. */
  readonly line: number;
  /** A path from the root of the project, or the name of a package (`node:fs` for Node's own). */
  readonly target: string;
  /** The names in the other file; `*` when it could be any, none when it is only run. */
  readonly names: readonly string[];
  /** Whether the compiler leaves it out: `import type`. */
  readonly isType: boolean;
  /** Whether the other file is loaded when a function says so, and not with this one. */
  readonly isLazy: boolean;
}

/** Every TypeScript file below the folders, sorted. */
export function readSources(folders: readonly string[]): Source[] {
  return folders
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`))
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /\.tsx?$/.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}

// The clause is what stands between `import` and `from`: a default name, `* as name`, a list in braces. None: `import 'x'`.
const staticImport =
  /^ *(?:import|export) +(?<clause>(?:type +)?(?:[\w$]+(?:, *)?)? *(?:\* +as +[\w$]+|\*|\{[^}]*\})?) *\bfrom +'(?<specifier>[^']+)'|^ *import +'(?<bare>[^']+)'/gm;
const dynamicImport = /\b(?:import|require)\(\s*'(?<specifier>[^']+)'/g;
/** What has to be one of the above. */
const anyImport = /^ *(?:import\b|export \*)|\} from ["']|\b(?:import|require)\(/gm;
const commentLine = /^\s*(?:\/\/|\/?\*)/;

/** Everything the file imports, for its values or for its types alone. Throws at an import it cannot read. */
export function importsOf({ path, text }: Source): Import[] {
  const imports: Import[] = [];
  const read: (readonly [start: number, end: number])[] = [];
  for (const pattern of [staticImport, dynamicImport]) {
    for (const match of text.matchAll(pattern)) {
      if (isComment(text, match.index)) continue;
      read.push([match.index, match.index + match[0].length]);
      const { clause = '', specifier = '', bare } = match.groups ?? {};
      const names = pattern === dynamicImport ? ['*'] : namesIn(clause);
      const isType = /^type +[\w$*{]/.test(clause);
      const isLazy = pattern === dynamicImport;
      const target = targetOf(path, bare ?? specifier);
      imports.push({ line: lineAt(text, match.index), target, names, isType, isLazy });
    }
  }
  for (const { index } of text.matchAll(anyImport)) {
    const isRead = read.some(([start, end]) => start <= index && index < end);
    if (isRead || isComment(text, index)) continue;
    throw new Error(`${path}:${lineAt(text, index)}: an import that cannot be read`);
  }
  return imports.sort((one, other) => one.line - other.line);
}

function namesIn(clause: string): string[] {
  const list = /\{(?<list>[^}]*)\}/.exec(clause)?.groups?.['list'];
  if (list === undefined) return clause.includes('*') ? ['*'] : clause === '' ? [] : ['default'];
  const outside = clause
    .slice(0, clause.indexOf('{'))
    .replace(/^type +/, '')
    .trim();
  const named = list
    .split(',')
    .map((name) => /^(?:type )?([\w$]+)/.exec(name.trim())?.[1])
    .filter((name) => name !== undefined);
  return outside === '' ? named : ['default', ...named];
}

function targetOf(path: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(path), specifier);
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The line, counted from 1, in which the character stands. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

function isComment(text: string, index: number): boolean {
  return commentLine.test(text.split('\n')[lineAt(text, index) - 1] ?? '');
}
