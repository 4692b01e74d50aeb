// Looks after what processes that are gone have left behind: speaks for the dead instance until its charges are posted,
// ends its leases at once, and removes its journal. Charges count once by id, so whatever was posted before it died, or
// by an earlier attempt at this, does no harm.

import type { BaseLogger } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../clock.ts';
import { isBadData } from '../store/outage.ts';
import type { StoreDoor } from '../store/sync/door.ts';
import { chargesMax, type LockPolicy, type SyncAnswer, type SyncReply, usersMax } from '../store/sync/exchange.ts';
import type { LeaseAsk } from '../store/sync/grants.ts';
import { UsersLockedError } from '../store/sync/transaction.ts';
import { AbandonedJournal, type Owed, owedName } from './abandoned.ts';
import type { InstanceFolder } from './folder.ts';
import type { Entry } from './records.ts';
import type { SetAside } from './set-aside.ts';

/**
 * Above what the store has heard of an instance by so much begins who speaks for it: messages that the dead one has sent, as many as
 * an outage of a year may have swallowed, are late then, whenever they come.
 */
const unheardMax = 2 ** 30;

/** The pause after a message that did not get through. */
const retryMs = 500;
const unreadable = 'what a process has left behind cannot be read';

export interface AdoptionOptions {
  readonly store: StoreDoor;
  readonly clock: Clock;
  readonly log: BaseLogger;
  readonly setAside: SetAside;
  /** Hears what the store says of it. */
  readonly heard?: (reply: SyncReply) => void;
}

/** Who speaks, and how far it has got. */
interface Speaker {
  instance: string;
  seq: number;
}

export class Adoption {
  readonly #options: AdoptionOptions;
  readonly #folders: readonly InstanceFolder[];
  readonly #journals = new Map<InstanceFolder, AbandonedJournal>();
  #isStopped = false;
  #done: Promise<void> | null = null;

  /** The folders are locked already, and are the adoption's from now on. */
  constructor(folders: readonly InstanceFolder[], options: AdoptionOptions) {
    this.#folders = folders;
    this.#options = options;
  }

  /** Takes stock of what is owed, without asking the store. A folder that cannot be read is left for the next who comes. */
  async open(): Promise<void> {
    const { clock, setAside, log } = this.#options;
    for (const folder of this.#folders) {
      const journal = new AbandonedJournal(folder.path, clock, setAside);
      try {
        await journal.open();
        this.#journals.set(folder, journal);
      } catch (error) {
        log.error({ err: error, folder: folder.path }, unreadable);
        folder.release();
      }
    }
  }

  /**
   * Reserves in the store what dead instances owe, in their names: before anybody here asks for more, so that what was sold is not
   * sold again. Rejects as the store does; what is done need not be done again.
   */
  async reserve(): Promise<void> {
    for (const journal of this.#journals.values()) {
      const { instance, isReserved, charges, owed } = journal;
      if (instance === null || isReserved || charges === 0) continue;
      const seq = await this.#options.store.seqOf(instance);
      // What a fenced instance had is for others already.
      if (seq !== null) await this.#reserveAll({ instance, seq: seq + unheardMax }, [...owed.values()]);
      journal.isReserved = true;
    }
  }

  /** Who is locked for a moment, as by an exchange of another, is waited for; who is locked for longer is passed over. */
  async #reserveAll(speaker: Speaker, owed: readonly Owed[]): Promise<void> {
    let locks: LockPolicy = 'wait';
    for (let from = 0; from < owed.length; from += usersMax) {
      const leases = owed.slice(from, from + usersMax).map(askOf);
      speaker.seq += 1;
      const message = { ...speaker, charges: [], leases, tallies: [] };
      const exchange = () => this.#options.store.exchange(message, locks);
      const reply = await exchange().catch((error) => {
        if (!(error instanceof UsersLockedError)) throw error;
        locks = 'skip';
        return exchange();
      });
      if (!reply.stale) this.#options.heard?.(reply);
    }
  }

  /** Those that are not booked in full. */
  get journals(): Iterable<AbandonedJournal> {
    return this.#journals.values();
  }

  /** Charges that are not posted yet. */
  get charges(): number {
    let sum = 0;
    for (const { charges } of this.#journals.values()) sum += charges;
    return sum;
  }

  /** Posts all of it, however long the store takes to answer. */
  start(): void {
    this.#done = this.#adoptAll();
  }

  /** Stops as soon as the message under way has been answered. Returns how many charges are left for the next who comes. */
  async stop(): Promise<number> {
    this.#isStopped = true;
    await this.#done;
    const left = this.charges;
    for (const folder of this.#journals.keys()) folder.release();
    this.#journals.clear();
    return left;
  }

  async #adoptAll(): Promise<void> {
    for (const [folder, journal] of this.#journals) {
      try {
        await this.#adopt(folder, journal);
      } catch (error) {
        this.#options.log.error({ err: error, folder: folder.path }, unreadable);
      }
      if (this.#isStopped) return;
    }
  }

  async #adopt(folder: InstanceFolder, journal: AbandonedJournal): Promise<void> {
    const { instance, charges } = journal;
    await this.#postOwed(journal);
    if (this.#isStopped) return;
    await this.#postAgain(journal);
    if (this.#isStopped) return;
    folder.empty();
    this.#journals.delete(folder);
    folder.discard();
    // One that has ended in order has left only what is known of its callers.
    if (instance === null) return;
    this.#options.log.info({ instance, charges }, 'what a process had left behind is booked, and its leases are free');
  }

  /** In the name of the dead instance, whose leases are free thereafter: what it had acknowledged needs none. */
  async #postOwed(journal: AbandonedJournal): Promise<void> {
    const { instance, charges } = journal;
    const speaker: Speaker = { instance: instance ?? '', seq: 0 };
    if (charges > 0) Object.assign(speaker, await this.#speakerFor(instance));
    await this.#post(journal, 'owed', speaker);
    if (this.#isStopped) return;
    journal.owed.clear();
    await this.#insist(() => this.#options.store.fence(speaker.instance, null));
  }

  /** A store that was set back to an earlier state, or lost its last commits, has not got what it acknowledged. */
  async #postAgain(journal: AbandonedJournal): Promise<void> {
    if (!journal.hasPosted) return;
    const speaker = await this.#speakerFor(null);
    await this.#post(journal, 'posted', speaker);
    await this.#insist(() => this.#options.store.fence(speaker.instance, null));
  }

  /** The dead instance itself, if the store knows it as living; else a new one. */
  async #speakerFor(instance: string | null): Promise<Speaker> {
    const { store } = this.#options;
    const seq = instance === null ? null : await this.#insist(() => store.seqOf(instance));
    if (instance !== null && typeof seq === 'number') return { instance, seq: seq + unheardMax };
    const own = uuidv7();
    await this.#insist(() => store.register(own));
    return { instance: own, seq: 0 };
  }

  async #post(journal: AbandonedJournal, which: 'owed' | 'posted', speaker: Speaker): Promise<void> {
    let batch: Entry[] = [];
    const users = new Set<string>();
    for await (const entry of journal.entries(which)) {
      if (batch.length >= chargesMax || (users.size >= usersMax && !users.has(entry.charge.user))) {
        await this.#send(batch, journal, speaker);
        batch = [];
        users.clear();
      }
      if (this.#isStopped) return;
      batch.push(entry);
      users.add(entry.charge.user);
    }
    await this.#send(batch, journal, speaker);
  }

  /** Until each of them is posted or set aside. */
  async #send(batch: readonly Entry[], journal: AbandonedJournal, speaker: Speaker): Promise<void> {
    let left = batch;
    let locks: LockPolicy = 'wait';
    while (left.length > 0 && !this.#isStopped) {
      try {
        const reply = await this.#say(left, journal, speaker, locks);
        if (reply.stale) {
          // The speaker was fenced meanwhile, which should not happen twice.
          Object.assign(speaker, await this.#speakerFor(null));
          await this.#pause();
          continue;
        }
        // First, so that what is not owed any more is gone from what a user has.
        this.#options.heard?.(reply);
        const done = left.filter(({ charge }) => reply.done.has(charge.user));
        this.#settle(journal, done);
        left = left.filter((entry) => !done.includes(entry));
        if (left.length > 0) await this.#pause();
      } catch (error) {
        if (error instanceof UsersLockedError) locks = 'skip';
        else if (isBadData(error)) return this.#sendInHalves(left, journal, speaker, error);
        await this.#pause();
      }
    }
  }

  async #sendInHalves(batch: readonly Entry[], journal: AbandonedJournal, speaker: Speaker, why: unknown) {
    const [first] = batch;
    if (batch.length === 1 && first !== undefined) {
      this.#options.setAside.add(first.charge, `the database does not take it: ${(why as Error).message}`);
      this.#settle(journal, batch);
      return;
    }
    const middle = Math.ceil(batch.length / 2);
    await this.#send(batch.slice(0, middle), journal, speaker);
    await this.#send(batch.slice(middle), journal, speaker);
  }

  #say(batch: readonly Entry[], journal: AbandonedJournal, speaker: Speaker, locks: LockPolicy): Promise<SyncAnswer> {
    speaker.seq += 1;
    const charges = batch.map(({ charge }) => charge);
    return this.#options.store.exchange({ ...speaker, charges, leases: asksOf(batch, journal), tallies: [] }, locks);
  }

  #settle(journal: AbandonedJournal, entries: readonly Entry[]): void {
    for (const { charge, lease } of entries) {
      const owed = journal.owed.get(owedName(charge.user, lease));
      if (owed === undefined) continue;
      owed.credits -= charge.cost;
      journal.charges -= 1;
    }
  }

  /** Asks until there is an answer, or nobody wants one any more. */
  async #insist<T>(ask: () => Promise<T>): Promise<T | null> {
    while (!this.#isStopped) {
      try {
        return await ask();
      } catch {
        await this.#pause();
      }
    }
    return null;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(retryMs, resolve));
  }
}

/** What was posted just before the death may be owed here still: its acknowledgement was not on disk yet. */
function askOf({ user, lease: key, credits: keep }: Owed): LeaseAsk {
  return { user, key, keep, need: 0, want: 0, emptied: true, doubted: true };
}

/** What the dead instance goes on using of its leases: the charges that are still to come. */
function asksOf(batch: readonly Entry[], { owed }: AbandonedJournal): LeaseAsk[] {
  const sending = new Map<string, number>();
  for (const { charge, lease } of batch) {
    const name = owedName(charge.user, lease);
    sending.set(name, (sending.get(name) ?? 0) + charge.cost);
  }
  return [...sending].flatMap(([name, credits]) => {
    const rest = owed.get(name);
    if (rest === undefined) return [];
    return [askOf({ ...rest, credits: Math.max(0, rest.credits - credits) })];
  });
}
