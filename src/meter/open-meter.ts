// Opens a meter: its folder, its books with their journal, its exchange with the store, and what others have left behind.

import { v7 as uuidv7 } from 'uuid';
import { systemClock } from '../clock.ts';
import { Adoption } from '../journal/adoption.ts';
import { lockAbandonedFolders, makeInstanceFolder } from '../journal/folder.ts';
import { SetAside } from '../journal/set-aside.ts';
import { type Books, openBooks } from './books.ts';
import { Meter, type MeterOptions } from './meter.ts';
import { Sync } from './sync.ts';

/**
 * Opens the meter as a new instance, with a folder of its own, and begins to look after what others have left behind in
 * theirs. Throws what the driver throws when the database is down, or the system when the folder cannot be written.
 */
export async function openMeter({ clock = systemClock, ...options }: MeterOptions): Promise<Meter> {
  const { store, log, journal, observer } = options;
  const instance = uuidv7();
  const setAside = new SetAside(journal.dataDir, log, () => observer.setAside());
  const adoption = new Adoption(lockAbandonedFolders(journal.dataDir), { store, clock, log, setAside });
  await adoption.open();
  const folder = makeInstanceFolder(journal.dataDir);
  let books: Books | null = null;
  try {
    books = openBooks({ folder: folder.path, instance, clock, log, ...journal });
    const sync = new Sync(books, { instance, store, setAside, clock, log, observer });
    await sync.start();
    adoption.start();
    return new Meter({ books, sync, adoption, folder }, { clock, ...options });
  } catch (error) {
    books?.owed.journal.close();
    folder.discard();
    await adoption.stop();
    throw error;
  }
}
