// Reads a CSV file of users: every row is checked, and each that is wrong is told.

import { CsvError, parse } from 'csv-parse';
import type { ImportedUser } from '../store/import-users.ts';
import { defaultName } from '../store/users.ts';
import { Failure } from './failure.ts';
import { isEmail, isText } from './values.ts';

/** The rows of one file are kept in memory until all are checked. */
const rowsMax = 1_000_000;
/** A line that was not closed with its quote would otherwise be read to the end of the file. */
const rowBytesMax = 64 * 1024;
/** Bad rows that are told one by one. */
const badRowsTold = 1_000;

const columns = ['email', 'name', 'credits'] as const;
type Column = (typeof columns)[number];

interface Defaults {
  readonly plan: string;
  readonly credits: number;
}

/** The users of a file, in its order. Throws a failure that tells every wrong row. */
export async function readUsers(input: NodeJS.ReadableStream, defaults: Defaults): Promise<ImportedUser[]> {
  const users: ImportedUser[] = [];
  const problems: string[] = [];
  const lines = new Map<string, number>();
  let order: readonly Column[] | null = null;
  for await (const { record, line } of readRecords(input)) {
    if (order === null) {
      order = columnsOf(record);
      if (order !== null) continue;
      order = columns;
    }
    const row = readRow(order, record, defaults);
    const user = typeof row === 'string' ? null : row;
    const earlier = user === null ? undefined : lines.get(user.email.toLowerCase());
    if (typeof row === 'string') problems.push(`line ${line}: ${row}`);
    else if (earlier !== undefined) problems.push(`line ${line}: ${row.email} is on line ${earlier} already`);
    else users.push(row);
    if (user !== null && earlier === undefined) lines.set(user.email.toLowerCase(), line);
    if (users.length > rowsMax) throw invalid([`there are more than ${rowsMax} rows: split the file`]);
  }
  if (problems.length > 0) throw invalid(problems);
  return users;
}

/** The records and the lines on which they begin. */
async function* readRecords(input: NodeJS.ReadableStream): AsyncGenerator<{ record: readonly string[]; line: number }> {
  const parser = parse({
    bom: true,
    trim: true,
    skip_empty_lines: true,
    relax_column_count: true,
    info: true,
    max_record_size: rowBytesMax,
  });
  input.on('error', (error: Error) => parser.destroy(error));
  input.pipe(parser);
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      // `lines` is the last line of the record; one with line breaks in its fields began as many lines earlier.
      const breaks = record.reduce((count, field) => count + field.split('\n').length - 1, 0);
      yield { record, line: info.lines - breaks };
    }
  } catch (error) {
    throw error instanceof CsvError ? invalid([error.message]) : error;
  }
}

/** The order that a line of headings gives; null where the line is a user already. */
function columnsOf(record: readonly string[]): Column[] | null {
  if (record.some((field) => field.includes('@'))) return null;
  const order = record.map((field) => field.toLowerCase());
  const isKnown = order.every((name): name is Column => (columns as readonly string[]).includes(name));
  if (isKnown && order.includes('email') && new Set(order).size === order.length) return order as Column[];
  throw invalid([`line 1: name the columns ${columns.join(', ')}, each once; email is needed`]);
}

/** The user of a row, or what is wrong with it. */
function readRow(order: readonly Column[], record: readonly string[], defaults: Defaults): ImportedUser | string {
  if (record.length > order.length) return `${record.length} fields instead of ${order.length}`;
  const fieldOf = (column: Column) => record[order.indexOf(column)] ?? '';
  const [email, name, credits] = [fieldOf('email'), fieldOf('name'), fieldOf('credits')];
  if (!isEmail(email)) return `${JSON.stringify(email)} is not an e-mail address`;
  if (name !== '' && !isText(name)) return 'the name is not 1 to 200 characters on one line';
  const number = /^(0|[1-9][0-9]{0,15})$/.test(credits) ? Number(credits) : Number.NaN;
  if (credits !== '' && !Number.isSafeInteger(number))
    return `${JSON.stringify(credits)} is not a whole number from 0 on`;
  return {
    email,
    name: name === '' ? defaultName(email) : name,
    plan: defaults.plan,
    credits: credits === '' ? defaults.credits : number,
  };
}

function invalid(problems: readonly string[]): Failure {
  const told = problems.slice(0, badRowsTold);
  if (told.length < problems.length) told.push(`and ${problems.length - told.length} more`);
  return new Failure(
    'IMPORT_INVALID',
    `${told.join('\n')}\nNothing was changed: correct the file and import it again.`,
  );
}
