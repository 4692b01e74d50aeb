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

/** On SQLite the exchange has a thread of its own: there a slow disk stops who asks. */
export function openStoreDoor(database: Database): StoreDoor {
  if (database.file === null) return { ...asksOf(database), close: async () => {} };
  const thread = new SqliteThread(database.file);
  return { ...asksOf(database, (work) => onThread(thread, work)), close: () => thread.close() };
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
