// Those who move credits beside the callers: operators by the store's own functions, and hands by plain SQL.

import { type CompiledQuery, sql } from 'kysely';
import { deductUserCredits, grantCredits, setCredits } from '../../src/store/credits.ts';
import type { Random } from '../helpers/random.ts';
import type { Auditor, Complain } from './auditor.ts';
import type { Model } from './model.ts';
import type { Network } from './network.ts';
import type { Stores } from './stores.ts';

export interface Key {
  readonly id: string;
  readonly user: string;
  readonly isLimited: boolean;
}

export interface OperatorOptions {
  readonly random: Random;
  readonly stores: Stores;
  readonly model: Model;
  readonly auditor: Auditor;
  readonly network: Network;
  readonly complain: Complain;
  readonly note: (text: string) => void;
}

const balances = [0, 3, 10, 20, 50, 100, 300, 3_000];
const limits = [0, 5, 20, 60];
const actor = 'cli:simulation';

export class Operators {
  readonly keys: Key[] = [];
  readonly counts = { edits: 0, bookings: 0, limits: 0 };
  readonly #world: OperatorOptions;

  constructor(world: OperatorOptions) {
    this.#world = world;
  }

  /** Makes the users and their keys in an empty database. */
  async begin(): Promise<void> {
    const { random, stores, model, auditor } = this.#world;
    await stores.clear();
    for (const user of model.users) {
      const credits = random.of(balances);
      model.credits.set(user, credits);
      await stores.db.insertInto('users').values({ id: user, name: user, credits }).execute();
      for (const number of [0, 1, 2]) {
        const id = `${user}-k${number}`;
        const limit = number === 0 ? null : random.of(limits);
        const row = { id, user_id: user, name: id, hash: id, hint: 'tg_', limit_credits: limit };
        await stores.db.insertInto('api_keys').values(row).execute();
        this.keys.push({ id, user, isLimited: number !== 0 });
      }
    }
    await auditor.look({ exchanges: [], lowered: new Map() });
  }

  async act(): Promise<void> {
    const { random, model, network } = this.#world;
    const user = random.of(model.users);
    if (network.lockedUsers.has(user)) return;
    const kind = random.below(10);
    if (kind < 4) await this.#editCredits(user);
    else if (kind < 5) await this.#editLimit(user);
    else await this.#book(user);
  }

  async #editCredits(user: string): Promise<void> {
    const { random, model } = this.#world;
    const before = model.credits.get(user) ?? 0;
    this.counts.edits += 1;
    if (random.percent(70)) {
      const isUp = random.percent(before > 0 ? 65 : 95);
      const change = random.of([1, 2, 5, 10, 30, 100]) * (isUp ? 1 : -1);
      await this.#edit(user, change, sql`UPDATE users SET credits = credits + ${change} WHERE id = ${user}`);
    } else {
      // An ORM writes whole rows. It has read them just now, or this would be a lost update.
      const after = random.of(balances);
      const orm = sql`UPDATE users SET credits = ${after}, posted = 0, name = 'saved' WHERE id = ${user}`;
      await this.#edit(user, after - before, orm, false);
    }
  }

  async #editLimit(user: string): Promise<void> {
    const { random, model } = this.#world;
    const { id } = random.of(this.keys.filter((key) => key.user === user && key.isLimited));
    const before = model.books.keys.find((key) => key.id === id)?.limit ?? Number.POSITIVE_INFINITY;
    const limit = random.percent(15) ? null : random.of(limits) + random.of([0, 40]);
    this.counts.limits += 1;
    const lowered = new Map([[id, Math.max(0, before - (limit ?? Number.POSITIVE_INFINITY))]]);
    await this.#carryOut(sql`UPDATE api_keys SET limit_credits = ${limit} WHERE id = ${id}`, lowered);
  }

  async #edit(user: string, change: number, statement: ReturnType<typeof sql>, mayOverlap = true): Promise<void> {
    const { model } = this.#world;
    model.credits.set(user, (model.credits.get(user) ?? 0) + change);
    await this.#carryOut(statement, new Map([[user, Math.max(0, -change)]]), mayOverlap);
  }

  async #carryOut(statement: ReturnType<typeof sql>, lowered: ReadonlyMap<string, number>, mayOverlap = true) {
    const { stores, network, auditor, note } = this.#world;
    const query: CompiledQuery = statement.compile(stores.db);
    note(`by hand: ${query.sql} ${JSON.stringify(query.parameters)}`);
    const byItself = () => stores.db.executeQuery(query);
    if (mayOverlap) return network.edit(query.sql, [...query.parameters], lowered, byItself);
    await byItself();
    await auditor.look({ exchanges: [], lowered });
  }

  /** What operators do in commands. A deduction that would have to wait for leases is left alone. */
  async #book(user: string): Promise<void> {
    const { random, stores, model, auditor, note } = this.#world;
    const { db } = stores;
    const amount = random.of([1, 3, 10, 50, 100]);
    const before = model.credits.get(user) ?? 0;
    const leased = model.books.leases
      .filter((lease) => lease.user === user)
      .reduce((sum, lease) => sum + lease.amount, 0);
    this.counts.bookings += 1;
    let change = amount;
    const kind = before > 0 ? random.below(4) : 0;
    if (kind === 0) {
      await db.transaction().execute((trx) => grantCredits(trx, user, amount, { actor, kind: 'topup' }));
    } else if (kind === 1) {
      await db.transaction().execute((trx) => setCredits(trx, user, before + amount, { actor }));
    } else if (kind === 2) {
      change = -amount;
      await deductUserCredits(db, user, amount, { actor, isForced: true });
    } else if (before - leased >= amount) {
      change = -amount;
      await deductUserCredits(db, user, amount, { actor });
    } else return;
    note(`an operator gives ${user} ${change}`);
    model.credits.set(user, before + change);
    // A deduction that is not forced takes nothing that is leased, and has no excuse.
    await auditor.look({ exchanges: [], lowered: new Map([[user, kind === 2 ? amount : 0]]) });
  }
}
