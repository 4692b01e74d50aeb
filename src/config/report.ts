// Collects the problems of one file while it is read and checked, and knows where each key stands in it.

import type { LineCounter } from 'yaml';
import type { Problem } from './problems.ts';

/** A key from the root of the file: `['routes', 0, 'cost']`. */
export type Path = readonly (string | number)[];

/** Where a value stands, and the variables that it was made of. */
interface Written {
  readonly offset: number;
  readonly names: readonly string[];
}

export interface Report {
  /** Notes that a key is written in the file, at this offset. */
  mark(path: Path, offset: number, names?: readonly string[]): void;
  /** Whether the key is written in the file; a default is not. */
  isWritten(path: Path): boolean;
  /** The variables that the value came from; none for one that was written out. */
  namesOf(path: Path): readonly string[];
  /** A value for a message, such as ` is "abc"`: without the value when it came from a variable. */
  say(path: Path, value: unknown): string;
  /** Adds a problem at the offset, by default that of the key or of the nearest one around it; null is outside of the
   * file. The key begins the message. */
  add(path: Path, message: string, remedy: string, offset?: number | null): void;
  /** Adds a warning in the same way. */
  warn(path: Path, message: string, remedy: string): void;
  /** All problems, in the order of the file. */
  problems(): Problem[];
  /** All warnings, in the order of the file. */
  warnings(): Problem[];
}

/** A report on one file. */
export function openReport(lines: LineCounter): Report {
  const written = new Map<string, Written>();
  const problems: Problem[] = [];
  const warnings: Problem[] = [];

  const placeOf = (offset: number | null): { line: number; column: number } => {
    if (offset === null) return { line: 0, column: 0 };
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problemAt = (path: Path, message: string, remedy: string, offset?: number | null): Problem => {
    const key = keyOf(path);
    const place = placeOf(offset === undefined ? offsetOf(written, path) : offset);
    return { ...place, path: key, message: `${key} ${message}`.trim(), remedy };
  };
  const namesOf = (path: Path): readonly string[] => written.get(keyOf(path))?.names ?? [];

  return {
    mark: (path, offset, names = []) => void written.set(keyOf(path), { offset, names }),
    isWritten: (path) => written.has(keyOf(path)),
    namesOf,
    say: (path, value) => sayValue(value, namesOf(path)),
    add: (path, message, remedy, offset) => void problems.push(problemAt(path, message, remedy, offset)),
    warn: (path, message, remedy) => void warnings.push(problemAt(path, message, remedy)),
    problems: () => inOrder(problems),
    warnings: () => inOrder(warnings),
  };
}

/** The key as people write it: `routes[0].cost`, `plans["Pro plan"]`. */
export function keyOf(path: Path): string {
  let key = '';
  for (const step of path) {
    if (typeof step === 'number') key += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) key += `[${JSON.stringify(step)}]`;
    else key += key === '' ? step : `.${step}`;
  }
  return key;
}

/** Names the sources of a value: `${A} and ${B}`. */
export function sayNames(names: readonly string[]): string {
  return names.map((name) => `\${${name}}`).join(' and ');
}

const shownLengthMax = 60;

/** A value that came from a variable, or may hold the password of a URL, is not shown. */
function sayValue(value: unknown, names: readonly string[]): string {
  if (names.length > 0) return `has a value that does not fit, from ${sayNames(names)}`;
  const text = String(value);
  if (text.includes('@')) return 'has a value that does not fit';
  const shown = text.length > shownLengthMax ? `${text.slice(0, shownLengthMax)}…` : text;
  return typeof value === 'string' ? `is ${JSON.stringify(shown)}` : `is ${shown}`;
}

function offsetOf(written: ReadonlyMap<string, Written>, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const place = written.get(keyOf(path.slice(0, length)));
    if (place) return place.offset;
  }
  return 0;
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}
