// The one door between a gateway's memory and the store: an instance enters, exchanges, and is fenced when it has stopped.

import type { Database } from '../database.ts';
import { fenceInstance, registerInstance, seqOfInstance } from '../instances.ts';
import { exchange, type LockPolicy, type SyncAnswer, type SyncMessage } from './exchange.ts';
import { SqliteThread } from './sqlite-thread.ts';
import { onThread, runnerOf, type TransactionRunner } from './transaction.ts';

/** Each rejects with what the driver throws when the store does not answer; the outcome is then unknown. */
export interface StoreDoor {
  /** Enters an instance; once more does no harm. */
  register(instance: string): Promise<void>;
  /** Where a living instance stands; null for one that is fenced or not known. */
  seqOf(instance: string): Promise<number | null>;
  /** Carries out one message. Rejects with UsersLockedError when a row is locked for too long and `locks` is `wait`. */
  exchange(message: SyncMessage, locks: LockPolicy): Promise<SyncAnswer>;
  /** Fences an instance that still stands at `seq` (any when null). False when it has moved on, or is fenced already. */
  fence(instance: string, seq: number | null): Promise<boolean>;
  /** After whoever uses it, before the database. Safe to call twice. */
  close(): Promise<void>;
}

/** What is asked through a door. */
export type StoreAsks = Omit<StoreDoor, 'close'>;

/**
 * On SQLite the exchange has a thread of its own: there a slow disk stops who asks. `prepare` brings the tables up to date; it
 * runs before the first instance enters, until it has succeeded.
 */
export function openStoreDoor(database: Database, prepare: () => Promise<unknown> = async () => {}): StoreDoor {
  const { file } = database;
  const thread = file === null ? null : new SqliteThread(file);
  // While this thread looks at the tables, that one loads what it needs.
  thread?.begin();
  const asks = asksOf(database, thread === null ? undefined : (work) => onThread(thread, work));
  let preparing: Promise<unknown> | null = null;
  return {
    ...asks,
    register: async (instance) => {
      preparing ??= prepare();
      await preparing.catch((error) => {
        preparing = null;
        throw error;
      });
      await asks.register(instance);
    },
    close: async () => thread?.close(),
  };
}

/** Asks through the database's own connections, or has the exchange run elsewhere. */
export function asksOf(database: Database, run: TransactionRunner = runnerOf(database)): StoreAsks {
  return {
    register: (instance) => registerInstance(database.db, instance),
    seqOf: (instance) => seqOfInstance(database.db, instance),
    exchange: (message, locks) => exchange(database, message, locks, run),
    fence: (instance, seq) => fenceInstance(database.db, instance, seq),
  };
}
