// The thread of the exchange on SQLite: runs the statements of one transaction, in two steps, on a connection of its own.
// It ends by itself when it is told to, with its connection closed: a thread that is stopped from outside could leave a
// transaction to be undone by who comes next.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type Fault, faultOf } from '../outage.ts';
import { openSqliteFile, patiently } from '../sqlite-file.ts';

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** A transaction begins with a step of its kind and ends with another; whoever gives it up says `undo`. */
export interface Step {
  readonly id: number;
  readonly kind: 'begin' | 'end' | 'undo';
  readonly statements: readonly Statement[];
}

/** Errors lose what is their own on the way between threads, so they travel as what they say. */
export type Report =
  | { readonly id: number; readonly rows: unknown[][] }
  | { readonly id: number; readonly fault: Fault & { readonly stack: string } };

const port = parentPort as MessagePort;
const file = openSqliteFile(workerData as string);
/** Their texts are few: what differs from one exchange to the next is in the parameters. */
const prepared = new Map<string, ReturnType<typeof file.prepare>>();
let isOpen = false;
/** One step after another: each of them may have to wait for the lock of the file. */
let last = Promise.resolve();

port.on('message', (step: Step | null) => {
  last = last.then(() => (step === null ? end() : carryOut(step)));
});

async function carryOut({ id, kind, statements }: Step): Promise<void> {
  try {
    // What was begun in a thread that has died is not there to be ended.
    if (kind !== 'begin' && !isOpen) throw new Error('there is no transaction');
    if (kind === 'begin') await patiently(() => run('BEGIN IMMEDIATE'));
    isOpen = true;
    const rows = kind === 'undo' ? [] : statements.map(({ sql, parameters }) => run(sql, parameters));
    if (kind === 'end') await patiently(() => run('COMMIT'));
    else if (kind === 'undo') run('ROLLBACK');
    isOpen = kind === 'begin';
    port.postMessage({ id, rows } satisfies Report);
  } catch (error) {
    if (isOpen) undo();
    const stack = String((error as Error).stack);
    port.postMessage({ id, fault: { ...faultOf(error), stack } } satisfies Report);
  }
}

function run(sql: string, parameters: readonly unknown[] = []): unknown[] {
  const statement = prepared.get(sql) ?? file.prepare(sql);
  prepared.set(sql, statement);
  if (statement.reader) return statement.all(parameters);
  statement.run(parameters);
  return [];
}

function undo(): void {
  isOpen = false;
  try {
    run('ROLLBACK');
  } catch {
    // SQLite has done so itself, as it does after some errors.
  }
}

async function end(): Promise<void> {
  file.close();
  port.close();
}
