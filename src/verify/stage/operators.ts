// What people do meanwhile: they grant credits, edit balances with SQL, and revoke keys. An answer that does not come
// leaves open whether it was done: a grant is then repeated under its key, and of an edit the database is asked for its note.

import { setTimeout } from 'node:timers/promises';
import { bookOnce, type Claim } from '../../store/claims.ts';
import { grantCredits } from '../../store/credits.ts';
import { type Db, transact } from '../../store/database.ts';
import { auditBalances } from '../../store/history.ts';
import { revokeKey } from '../../store/keys.ts';
import { editByHand, handEditOf, standingsOf } from '../../store/proof.ts';
import { makeKey, type Player } from './cast.ts';
import type { Stage } from './faults.ts';
import { pause } from './load.ts';
import type { Random } from './random.ts';
import type { Records } from './records.ts';

/** The time between two deeds, and between two looks at the books. */
const deedMinMs = 150;
const deedMaxMs = 900;
const lookEveryMs = 2_000;
/** How long a revoked key goes on being used, so that it is seen to be refused. */
const revokedUseMs = 3_000;
const againMs = 200;
/** For so long a deed is repeated while the database is away. */
const insistMaxMs = 60_000;

/** Does one thing after another until it is over. */
export async function runOperators(stage: Stage, random: Random): Promise<void> {
  const { cast, over } = stage;
  const of = (role: Player['role']) => random.of(cast.filter((player) => player.role === role));
  const successions: Promise<void>[] = [];
  const renewed = new Set<Player>();
  for (let n = 1; !over.aborted; n++) {
    await pause(deedMinMs + random.below(deedMaxMs - deedMinMs), over);
    const chance = random.below(100);
    if (chance < 50) await grant(stage, `grant-${n}`, of('poor'), 5 + random.below(200));
    else if (chance < 80) await edit(stage, `edit-${n}`, of('edited'), random.of([0, 3, 40, 300, 900]));
    else {
      const player = of('revoked');
      if (renewed.has(player)) continue;
      renewed.add(player);
      successions.push(renewKey(stage, player).finally(() => renewed.delete(player)));
    }
  }
  await Promise.all(successions);
}

async function grant({ database, records }: Stage, key: string, { user }: Player, amount: number): Promise<void> {
  const record = { user, amount, key, committedAtMs: null as number | null };
  records.grants.push(record);
  const book = (claim: Claim) =>
    transact(database.db, (trx) => grantCredits(trx, user, amount, { actor: 'verify', claim }));
  await insist(() => bookOnce(database.db, { key, userId: user, request: String(amount) }, book));
  record.committedAtMs = performance.now();
}

async function edit(
  { database: { db }, records }: Stage,
  id: string,
  { user }: Player,
  credits: number,
): Promise<void> {
  const record: Records['edits'][number] = {
    ...{ user, startedAtMs: performance.now(), knownAtMs: Number.POSITIVE_INFINITY, wasCutOff: false, met: null },
  };
  records.edits.push(record);
  record.met = await editByHand(db, id, user, credits).catch(() => {
    record.wasCutOff = true;
    return insist(() => handEditOf(db, id, user));
  });
  record.knownAtMs = performance.now();
}

/** Revokes a key and, when it has been refused for a while, gives its user another. */
async function renewKey({ database, records, over, onKey }: Stage, player: Player): Promise<void> {
  const { user, key } = player;
  const next = await insist(() => makeKey(database.db, user, key.limit, onKey));
  await insist(() => transact(database.db, (trx) => revokeKey(trx, key.id)));
  records.revocations.push({ key: key.id, committedAtMs: performance.now() });
  await pause(revokedUseMs, over);
  player.key = next;
}

/** Tries until the database has taken it. Only for what may be done twice. */
export async function insist<T>(work: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + insistMaxMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await setTimeout(againMs);
    }
  }
}

/** Looks at the books again and again, as they stand in the middle of it all. */
export async function runLooks({ database, records, over }: Stage): Promise<void> {
  while (!over.aborted) {
    await pause(lookEveryMs, over);
    await look(database.db, records).catch(() => {});
  }
}

/** One look: every balance is the sum of its ledger; and how low balances have gone. */
export async function look(db: Db, records: Records): Promise<void> {
  for await (const { differences } of auditBalances(db)) {
    for (const { userId, credits, ledger } of differences) {
      records.sights.push(`user ${userId} had a balance of ${credits} while the ledger said ${ledger}`);
    }
  }
  for (const { user, credits } of await standingsOf(db)) {
    records.lowest.set(user, Math.min(credits, records.lowest.get(user) ?? credits));
  }
  records.looks += 1;
}
