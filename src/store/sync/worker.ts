// The thread behind the door to an SQLite file: carries out what is asked, on a connection of its own, and tells what came
// of it. It ends by itself when it is told to, with its connection closed: a thread that is stopped from outside could
// leave a transaction to be undone by who comes next.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openSqliteFile } from '../database.ts';
import { type Fault, faultOf } from '../outage.ts';
import { asksOf, type StoreAsks } from './door.ts';

/** Where the thread finds the database. */
export interface Place {
  readonly file: string;
  readonly schema: string;
}

/** What is asked, by a number that the report on it has too; null is the end. */
export type Errand = {
  [K in keyof StoreAsks]: { id: number; ask: K; args: Parameters<StoreAsks[K]> };
}[keyof StoreAsks];

/** Errors lose what is their own on the way between threads, so they travel as what they say. */
export type Report =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly fault: Fault & { readonly stack: string } };

const port = parentPort as MessagePort;
const { file, schema }: Place = workerData;
const database = openSqliteFile(file, schema);
const asks = asksOf(database);
const underWay = new Set<Promise<void>>();

port.on('message', (errand: Errand | null) => {
  if (errand === null) {
    void end();
    return;
  }
  const work = carryOut(errand).finally(() => underWay.delete(work));
  underWay.add(work);
});

async function carryOut({ id, ask, args }: Errand): Promise<void> {
  const report = await (asks[ask] as (...args: unknown[]) => Promise<unknown>)(...args).then(
    (value): Report => ({ id, value }),
    (error): Report => ({ id, fault: { ...faultOf(error), stack: String(error?.stack) } }),
  );
  port.postMessage(report);
}

async function end(): Promise<void> {
  await Promise.all(underWay);
  await database.close();
  port.close();
}
