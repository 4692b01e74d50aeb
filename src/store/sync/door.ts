// The one door between a gateway's memory and the store: an instance enters, exchanges, and is fenced when it has stopped.

import type { Database } from '../database.ts';
import { fenceInstance, registerInstance, seqOfInstance } from '../instances.ts';
import { exchange, type LockPolicy, type SyncAnswer, type SyncMessage } from './exchange.ts';
import { ThreadDoor } from './thread-door.ts';

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

/** On SQLite a thread of its own does the work: there a slow disk stops who asks. */
export function openStoreDoor(database: Database): StoreDoor {
  const { file, schema } = database;
  return file === null ? { ...asksOf(database), close: async () => {} } : new ThreadDoor({ file, schema });
}

/** Asks in this thread. */
export function asksOf(database: Database): StoreAsks {
  return {
    register: (instance) => registerInstance(database.db, instance),
    seqOf: (instance) => seqOfInstance(database.db, instance),
    exchange: (message, locks) => exchange(database, message, locks),
    fence: (instance, seq) => fenceInstance(database.db, instance, seq),
  };
}
