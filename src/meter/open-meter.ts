// Opens a meter: its folder, its books with their journal, its exchange with the store, and what others have left behind.

import type { BaseLogger } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { type Clock, systemClock } from '../clock.ts';
import type { Fallback } from '../fallback/fallback.ts';
import { LastKnown } from '../fallback/last-known.ts';
import { Adoption } from '../journal/adoption.ts';
import { Debts } from '../journal/debts.ts';
import type { Files } from '../journal/files.ts';
import { lockAbandonedFolders, makeInstanceFolder, pathsOfFolders } from '../journal/folder.ts';
import { SetAside } from '../journal/set-aside.ts';
import type { FsyncPolicy } from '../journal/writer.ts';
import type { StoreDoor } from '../store/sync/door.ts';
import type { SyncReply } from '../store/sync/exchange.ts';
import { type Books, openBooks } from './books.ts';
import { Meter, type MeterObserver } from './meter.ts';
import { Outage, type OutageTerms } from './outage.ts';
import { Sync } from './sync.ts';

export interface MeterOptions {
  readonly store: StoreDoor;
  /** Where settled charges are kept until the store has them. */
  readonly journal: MeterJournal;
  readonly log: BaseLogger;
  readonly observer: MeterObserver;
  /** The system's where none is given. */
  readonly clock?: Clock;
  /** What to do while the store is down; by default calls are served by what is known here. */
  readonly outage?: Partial<OutageTerms>;
}

export interface MeterJournal {
  readonly dataDir: string;
  readonly fsync: FsyncPolicy;
  /** The system's where none are given. */
  readonly files?: Files;
}

/**
 * Opens the meter as a new instance, with a folder of its own, and begins to look after what others have left behind in
 * theirs. Where calls are served in an outage, it opens in one too; else it throws what the driver throws when the database
 * is down, and always what the system says when the folder cannot be written.
 */
export async function openMeter({ clock = systemClock, ...options }: MeterOptions): Promise<Meter> {
  const { store, log, journal, observer } = options;
  const instance = uuidv7();
  const setAside = new SetAside(journal.dataDir, log, () => observer.setAside());
  const abandoned = lockAbandonedFolders(journal.dataDir);
  const known = options.outage?.known ?? new LastKnown(clock);
  const heard = ({ leases, overdraft, gone }: SyncReply) => {
    known.noteAnswers(leases);
    if (overdraft > 0) observer.overdrawn(overdraft);
    if (gone.length > 0) log.warn({ users: gone }, 'charges of users that no longer exist were booked');
  };
  const adoption = new Adoption(abandoned, { store, clock, log, setAside, heard });
  await adoption.open();
  const folder = makeInstanceFolder(journal.dataDir);
  const debts = new Debts({ clock, log, own: () => adoption.journals });
  // By default calls are served by what this process itself has heard.
  const terms: OutageTerms = { whenDown: 'serve', keep: null, debts, ...options.outage, known };
  let books: Books | null = null;
  let keeper: Pick<Fallback, 'start' | 'close'> | null = null;
  try {
    books = openBooks({ folder: folder.path, instance, clock, log, ...journal });
    const outage = new Outage(books, terms);
    const firstOfAll = () => adoption.reserve();
    const sync = new Sync(books, { instance, store, setAside, clock, log, observer, outage, firstOfAll });
    await sync.start();
    const own = new Set([folder, ...abandoned].map(({ path }) => path));
    const others = () => pathsOfFolders(journal.dataDir).filter((path) => !own.has(path));
    const place = { folder: folder.path, abandoned: abandoned.map(({ path }) => path), isStoreUp: () => sync.isUp };
    // What others beside this process know and owe is read only where nobody else can tell.
    keeper = (await terms.keep?.({ ...place, others: sync.hasHeard ? () => [] : others })) ?? null;
    if (!sync.hasHeard) await debts.readOthers(others());
    if (!sync.hasHeard) await debts.readPosted((user) => known.standingOf(user)?.atMs ?? null);
    if (sync.hasHeard) debts.forget();
    adoption.start();
    keeper?.start();
    return new Meter({ books, sync, adoption, folder, outage, keeper }, { observer, log, clock });
  } catch (error) {
    await keeper?.close();
    books?.owed.journal.close();
    folder.discard();
    await adoption.stop();
    throw error;
  }
}
