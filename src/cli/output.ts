// Where a command's words go: its result to stdout, everything else to stderr, so that results can be piped. With
// --json the result is one document on one line. Nothing here uses colour.

import type { Logger } from 'pino';
import type { Host } from './command.ts';

/** What a command has to say. */
export interface Output {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly stderr: Host['stderr'];
  /** The result: the document with --json, else the text. Once per command. */
  result(document: object, text: string): void;
  /** A remark for people, on stderr; none with --quiet. */
  note(text: string): void;
}

/** Opens the output of a command. */
export function openOutput({ stdout, stderr }: Host, isJson: boolean, isQuiet: boolean): Output {
  return {
    isJson,
    isQuiet,
    stderr,
    result: (document, text) => void stdout.write(`${isJson ? JSON.stringify(document) : text}\n`),
    note: (text) => {
      if (!isQuiet) stderr.write(`${text}\n`);
    },
  };
}

/** The log of credit operations, on stderr; for people where that is a terminal. */
export async function openLog({ isQuiet, stderr }: Output, format: 'json' | 'pretty'): Promise<Logger> {
  const { createLogger } = await import('../observability/logger.ts');
  const isTerminal = 'isTTY' in stderr && stderr.isTTY === true;
  const level = isQuiet ? 'silent' : 'info';
  return createLogger({ level, format: isTerminal ? 'pretty' : format }, { write: (line) => void stderr.write(line) });
}

/** A cell of a table. */
export type Cell = string | number | boolean | null;

/** Rows below a line of headings, in columns; numbers to the right. Null is a dash. */
export function formatTable(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map(textOf));
  const widths = headings.map((heading, i) =>
    texts.reduce((widest, row) => Math.max(widest, widthOf(row[i] ?? '')), heading.length),
  );
  const isNumeric = headings.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'));
  const lineOf = (cells: readonly string[]) =>
    cells
      .map((cell, i) => {
        const padding = ' '.repeat((widths[i] ?? 0) - widthOf(cell));
        return isNumeric[i] ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd();
  return [headings.map((heading) => heading.toUpperCase()), ...texts].map(lineOf).join('\n');
}

/** One thing, a line for each of its fields. */
export function formatFields(fields: Readonly<Record<string, Cell>>): string {
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(width)}  ${textOf(value)}`)
    .join('\n');
}

/** Names and notes are other people's text: what could move a terminal's cursor is made visible instead. */
function textOf(cell: Cell): string {
  if (cell === null) return '-';
  return String(cell).replace(/\p{C}/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

function widthOf(text: string): number {
  return [...text].length;
}
